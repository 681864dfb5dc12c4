"""POST /optimize: architectures for an objective and limits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from fastapi import APIRouter, Depends, Response

from crlso.exceptions import ProblemError
from crlso.latent.model import Model
from crlso.search.problem import Answer, Problem, Proposal
from crlso.spaces import SearchSpace
from service import problems
from service.registry import Registry
from service.schemas import OneShot, OptimizeRequest, OptimizeResponse, ScoredProposal
from service.supernets import Scorer, Supernets
from service.workers import Workers

Solve = Callable[[Model, Problem], Answer]

ERRORS = problems.declare(
    problems.MALFORMED,
    problems.UNKNOWN_NAME,
    problems.TOO_LARGE,
    problems.NOT_JSON,
    problems.INVALID,
    problems.ARCHITECTURE,
    problems.UNSOLVABLE,
    problems.NO_MODEL,
    problems.BUSY,
)


def make_router(registry: Registry, supernets: Supernets, workers: Workers, solve: Solve) -> APIRouter:
    """The operation at its short and its versioned path."""
    router = APIRouter(tags=["optimize"], responses=ERRORS, dependencies=[Depends(problems.require_json)])

    @router.post("/v1/optimize", response_model=OptimizeResponse)
    @router.post("/optimize", response_model=OptimizeResponse)
    async def optimize(request: OptimizeRequest) -> Response:
        """Propose architectures: gradient ascent in a model's latent space, decoded, distinct and within all limits.

        The same request and seed to the same model (`digest`) is answered the same way, `elapsed_ms` apart. An
        evaluator scores what was proposed; the order stays that of the model.
        """
        content = await workers.run(answer_with, registry, supernets, solve, request)
        return Response(content, media_type="application/json")

    return router


def answer_with(registry: Registry, supernets: Supernets, solve: Solve, request: OptimizeRequest) -> bytes:
    """The answer's body."""
    model = registry.resolve(request.space, request.model)
    scorer = None if request.evaluator is None else supernets.resolve(request.evaluator, request.space)
    answered = dict(solve(model, request))
    proposals = tuple(_scored(proposal, model.space, scorer) for proposal in answered.pop("proposals"))
    found = OptimizeResponse.model_construct(
        **answered,
        proposals=proposals,
        space=model.space.name,
        metric=model.metric.name,
        unit=model.metric.unit,
        evaluator=request.evaluator,
        evaluator_digest=None if scorer is None else scorer.digest,
    )
    return found.model_dump_json().encode()


def _scored(proposal: Proposal, space: SearchSpace, scorer: Scorer | None) -> ScoredProposal:
    """A proposal with what the supernet says of it, if it has weights for the architecture."""
    evaluated = None
    if scorer is not None:
        with suppress(ProblemError):
            evaluated = OneShot(**scorer.score(space.parse(proposal.architecture))._asdict())
    return ScoredProposal.model_construct(**dict(proposal), evaluated=evaluated)
