"""`POST /optimize` for which nobody waits."""

from __future__ import annotations

from typing import Any, Literal

from service.jobs.context import Context
from service.jobs.kinds.base import Catalogue, Kind
from service.schemas import OptimizeRequest
from service.solving import Answerer


class OptimizeJob(OptimizeRequest):
    """Propose architectures, as POST /optimize does."""

    kind: Literal["optimize"]


def check(request: OptimizeJob, catalogue: Catalogue) -> None:
    """Find the faults that show at once."""
    catalogue.models.resolve(request.space, request.model)
    if request.evaluator is not None:
        catalogue.supernets.resolve(request.evaluator, request.space)


def run(request: OptimizeJob, context: Context) -> dict[str, Any]:
    """Answer."""
    asked = OptimizeRequest.model_validate(request.model_dump(exclude={"kind"}))
    found = Answerer(context.settings)(asked)
    return found.model_dump(mode="json")


KIND = Kind(OptimizeJob, run, check)
