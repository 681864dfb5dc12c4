"""Probes: is the process alive, and can it answer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service import problems
from service.registry import Registry
from service.schemas import Live, Ready


def make_router(registry: Registry) -> APIRouter:
    """The two probes."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", responses=problems.declare(problems.INTERNAL))
    async def live() -> Live:
        """The process answers."""
        return Live()

    @router.get("/ready", response_model=Ready, responses=problems.declare(problems.NO_MODEL))
    def ready(request: Request) -> Ready | Response:
        """At least one model answers; broken ones are named with the reason and do not stop the others."""
        models, faults = registry.check()
        if not models:
            return problems.problem(request, problems.NO_MODEL, registry.explain_absence(faults), unavailable=faults)
        return Ready(models=list(models), unavailable=faults)

    return router
