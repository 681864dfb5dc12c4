"""POST /optimize: architectures for an objective and limits."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, Response

from crlso.latent.model import Model
from crlso.search.problem import Answer, Problem
from service import problems
from service.registry import Registry
from service.schemas import OptimizeRequest, OptimizeResponse
from service.workers import Workers

Solve = Callable[[Model, Problem], Answer]

_ERRORS = problems.declare(
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


def make_router(registry: Registry, workers: Workers, solve: Solve) -> APIRouter:
    """The operation at its short and its versioned path."""
    router = APIRouter(tags=["optimize"], responses=_ERRORS, dependencies=[Depends(problems.require_json)])

    def answer(request: OptimizeRequest) -> bytes:
        model = registry.resolve(request.space, request.model)
        found = OptimizeResponse.model_construct(
            **dict(solve(model, request)), space=model.space.name, metric=model.metric.name, unit=model.metric.unit
        )
        return found.model_dump_json().encode()

    @router.post("/v1/optimize", response_model=OptimizeResponse)
    @router.post("/optimize", response_model=OptimizeResponse)
    async def optimize(request: OptimizeRequest) -> Response:
        """Propose architectures: gradient ascent in a model's latent space, decoded, distinct and within all limits.

        The same request and seed to the same model (`digest`) is answered the same way, `elapsed_ms` apart.
        """
        return Response(await workers.run(answer, request), media_type="application/json")

    return router
