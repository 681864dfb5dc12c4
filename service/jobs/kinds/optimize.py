"""`POST /optimize` for which nobody waits."""

from __future__ import annotations

from typing import Any, Literal

from crlso.latent.bundle import load_bundle
from crlso.search.ascent import optimize
from service.jobs.context import Context
from service.jobs.kinds.base import Catalogue, Kind
from service.registry import Registry
from service.schemas import OptimizeRequest
from service.solving import answer
from service.supernets import Supernets, load_supernet


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
    registry = Registry(context.settings.models, load_bundle)
    supernets = Supernets(context.settings.supernets, load_supernet)
    found = answer(OptimizeRequest.model_validate(request.model_dump(exclude={"kind"})), registry, supernets, optimize)
    return found.model_dump(mode="json")


KIND = Kind(OptimizeJob, run, check)
