"""Training a latent space from a table that comes with crlso: what `crlso train` does."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

import crlso
from crlso.latent.config import configure
from crlso.latent.model import Model
from crlso.search.problem import Whole
from crlso.tables import load_table
from crlso.training import resumable
from service.jobs.context import Context
from service.jobs.kinds.base import Catalogue, FolderName, JobRequest, Kind, Setting, Word, check_new, publish
from service.registry import known_space


class TrainRequest(JobRequest):
    """Learn a latent space and serve it as a model."""

    kind: Literal["train"]
    name: FolderName = Field(description="of the model")
    space: Word = "nasbench201"
    dataset: Word = Field("cifar10", description="a table that comes with crlso")
    metric: Word | None = Field(None, description="the table's first one when left out")
    labels: Whole | None = Field(None, ge=10, description="train on so many rows, chosen at random")
    preset: Word = "default"
    set: tuple[Setting, ...] = Field((), max_length=50, description="changes of settings, `name=value` each")
    seed: Whole = Field(0, ge=0, lt=2**63)


def check(request: TrainRequest, catalogue: Catalogue) -> None:
    """Find the faults that show at once."""
    check_new(request.name, catalogue.models)
    configure(request.preset, request.set)
    table = load_table(known_space(request.space), request.dataset)
    if request.metric is not None:
        table.metric(request.metric)


def run(request: TrainRequest, context: Context) -> dict[str, Any]:
    """Train, or go on with it."""
    made, place = context.folder / "model", context.settings.models / request.name
    if not made.exists():
        config = configure(request.preset, request.set)

        def report(epoch: int, losses: dict[str, float]) -> None:
            figures = {name: value for name, value in losses.items() if math.isfinite(value)}
            context.report(epoch, config.epochs, f"epoch {epoch} of {config.epochs}", **figures)

        crlso.train(
            load_table(request.space, request.dataset),
            made,
            metric=request.metric,
            config=config,
            labels=request.labels,
            seed=request.seed,
            resume=resumable(made),
            device=context.settings.device,
            progress=report,
        )
    context.check()
    publish(made, place)
    return _card(crlso.load_bundle(place))


def _card(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "space": model.space.name,
        "metric": model.metric.name,
        "digest": model.digest,
        "quality": dict(model.manifest["quality"]),
    }


KIND = Kind(TrainRequest, run, check, target=lambda request: f"model {request.name}")
