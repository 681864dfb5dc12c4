"""Probes and figures: is the process alive, can it answer, and how does it do."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from service import problems
from service.metrics import MEDIA_TYPE, Metrics
from service.registry import Registry
from service.routes.parameters import Reader
from service.schemas import Live, Ready


def make_router(registry: Registry, metrics: Metrics, check: Callable[[], None]) -> APIRouter:
    """The probes and /metrics.

    Args:
        registry: of models.
        metrics: of the application.
        check: raises StoreError where the record cannot be reached.
    """
    router = APIRouter(tags=["health"])

    @router.get("/health/live", responses=problems.declare(problems.INTERNAL))
    async def live() -> Live:
        """The process answers."""
        return Live()

    @router.get("/health/ready", response_model=Ready, responses=problems.declare(problems.NO_MODEL, problems.STORE))
    def ready(request: Request) -> Ready | Response:
        """The record is there and at least one model answers; broken ones do not stop the others."""
        check()
        models, faults = registry.check()
        if not models:
            return problems.problem(request, problems.NO_MODEL, registry.explain_absence(faults), unavailable=faults)
        return Ready(models=list(models), unavailable=faults)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **problems.declare(*problems.GUARDED),
        },
    )
    def show_metrics(_: Reader) -> Response:
        """Figures in Prometheus' notation."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return router
