"""Scores of many architectures with the weights of a supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from crlso.exceptions import ProblemError
from crlso.spaces import get_space
from service.jobs.context import Context
from service.jobs.kinds.base import Catalogue, FolderName, JobRequest, Kind, check_there
from service.jobs.kinds.search import one_shot

_AT_ONCE = 16  # between reports

Text = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class EvaluateRequest(JobRequest):
    """Score architectures."""

    kind: Literal["evaluate"]
    supernet: FolderName = Field(description="one of GET /v1/supernets")
    architectures: tuple[Text, ...] = Field(min_length=1, max_length=10_000)


def check(request: EvaluateRequest, catalogue: Catalogue) -> None:
    """Find the faults that show at once."""
    check_there(request.supernet, catalogue.supernets)


def run(request: EvaluateRequest, context: Context) -> dict[str, Any]:
    """Score them, in the order in which they were given; null for what the supernet has no weights for."""
    folder, device = context.settings.supernets / request.supernet, context.settings.device
    evaluator, texts = one_shot(folder, device), request.architectures
    for text in texts:
        get_space(evaluator.space).parse(text)
    scores: list[dict[str, float] | None] = []
    while len(scores) < len(texts):
        some = texts[len(scores) : len(scores) + _AT_ONCE]
        scores += context.fan_out(_score, [(str(folder.absolute()), device, text) for text in some])
        context.report(len(scores), len(texts), f"{len(scores)} of {len(texts)} architectures")
    return {"supernet": request.supernet, "digest": evaluator.digest, "scores": scores}


def _score(item: tuple[str, str, str]) -> dict[str, float] | None:
    folder, device, text = item
    evaluator = one_shot(Path(folder), device)
    try:
        return dict(evaluator.score(get_space(evaluator.space).parse(text))._asdict())
    except ProblemError:
        return None


KIND = Kind(EvaluateRequest, run, check, accelerated=True)
