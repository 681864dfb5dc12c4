"""The answer of `POST /optimize`, whoever waits for it: a request in a thread, or a job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from crlso.exceptions import ProblemError
from crlso.latent.bundle import load_bundle
from crlso.latent.model import Model
from crlso.search.ascent import optimize
from crlso.search.problem import Answer, Problem, Proposal
from crlso.spaces import SearchSpace
from service.registry import Registry
from service.schemas import OneShot, OptimizeRequest, OptimizeResponse, ScoredProposal
from service.settings import Settings
from service.supernets import Scorer, Supernets, load_supernet

Solve = Callable[[Model, Problem], Answer]


class Solved(NamedTuple):
    """An answer as it goes out, and what is counted of it.

    Attributes:
        body: the response as JSON.
        model: that answered.
        measured: of every proposal, whether the table knows it.
        gaps: |f(z) - f(encode(decode(z)))| of every proposal, in the metric's unit.
    """

    body: bytes
    model: str
    measured: tuple[bool, ...]
    gaps: tuple[float, ...]


def answer(request: OptimizeRequest, registry: Registry, supernets: Supernets, solve: Solve) -> OptimizeResponse:
    """Solve a request's problem with the model that it means, and have its evaluator score the proposals.

    Raises:
        UnknownNameError: there is no such space, model or supernet.
        ProblemError: the problem cannot be solved as asked.
        BundleError: the model cannot answer.
    """
    model = registry.resolve(request.space, request.model)
    scorer = None if request.evaluator is None else supernets.resolve(request.evaluator, request.space)
    answered = dict(solve(model, request))
    proposals = tuple(_scored(proposal, model.space, scorer) for proposal in answered.pop("proposals"))
    return OptimizeResponse.model_construct(
        **answered,
        proposals=proposals,
        space=model.space.name,
        metric=model.metric.name,
        unit=model.metric.unit,
        evaluator=request.evaluator,
        evaluator_digest=None if scorer is None else scorer.digest,
    )


class Answerer:
    """Answers requests in a process that has nothing of the service but its settings.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings) -> None:
        self.registry = Registry(settings.models, load_bundle, settings.defaults)
        self._supernets = Supernets(settings.supernets, load_supernet)

    def __call__(self, request: OptimizeRequest) -> OptimizeResponse:
        """As `answer` does, raising the same."""
        return answer(request, self.registry, self._supernets, optimize)


def seal(response: OptimizeResponse) -> Solved:
    """Write a response down."""
    proposals = response.proposals
    return Solved(
        body=response.model_dump_json().encode(),
        model=response.model,
        measured=tuple(proposal.measured is not None for proposal in proposals),
        gaps=tuple(abs(proposal.at_latent.value - proposal.predicted.mean) for proposal in proposals),
    )


def _scored(proposal: Proposal, space: SearchSpace, scorer: Scorer | None) -> ScoredProposal:
    """A proposal with what the supernet says of it, if it has weights for the architecture."""
    evaluated = None
    if scorer is not None:
        with suppress(ProblemError):
            evaluated = OneShot(**scorer.score(space.parse(proposal.architecture))._asdict())
    return ScoredProposal.model_construct(**dict(proposal), evaluated=evaluated)
