"""Kinds of jobs by name; a new one is a module here and a line below."""

from __future__ import annotations

from typing import Any

from service.jobs.kinds import evaluate, optimize, search, supernet, train
from service.jobs.kinds.base import Kind

KINDS: dict[str, Kind[Any]] = {
    "train": train.KIND,
    "search": search.KIND,
    "supernet": supernet.KIND,
    "evaluate": evaluate.KIND,
    "optimize": optimize.KIND,
}
