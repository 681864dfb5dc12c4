"""The record of a search: one JSON file, whole after every query, from which the search can go on.

    {"space", "table", "digest", "metric", "direction", "limits", "strategy", "seed", "init", "batch", "candidates",
     "budget", "history": [{"arch", "value", "seconds"} ...], "pending": [{"arch", "seconds"} ...],
     "best": {"query", "arch", "value", "seconds"}, "end", "seconds"}

in the order in which architectures were queried; queries count from 1. Values are in the metric's own unit, null where
a measurement failed. A query's seconds are what the strategy spent on it, the search's are all of its wall-clock time.
`pending` was asked for and has no value yet, `end` says why the search is over and is null before.

With several objectives `metric`, `direction` and `value` become the lists `metrics`, `directions` and `values`, each
query carries the `hypervolume` reached with it, above the point `reference`, and `pareto` takes the place of `best`.
With limits on what is measured, `kept`, each query carries the measurements `limited`, and the best keeps all of them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from crlso.exceptions import ProblemError
from crlso.files import replacing
from crlso.pareto import hypervolume, pareto_front
from crlso.search.limits import excess, feasible_first
from crlso.search.problem import Constraint, Finite

_SINGULAR = {"metrics": "metric", "directions": "direction", "values": "value"}


class Plan(BaseModel):
    """What makes a search the search that it is: two of equal plans query the same sequence.

    Attributes:
        space: name of the search space.
        table: where the values come from, by name; None where the user measures.
        digest: SHA-256 of those values.
        metrics: what is optimised.
        directions: whether more or less of each is better.
        reference: where hypervolumes begin, in the metrics' units; None for a single metric.
        limits: what was left out of the candidates.
        kept: limits on further measurements, None where there are none.
        strategy: its name.
        seed: of everything random.
        init: random architectures queried first.
        batch: architectures in one question to the strategy.
        candidates: how many architectures, twins apart, can be asked for.
    """

    model_config = ConfigDict(frozen=True)

    space: str
    table: str | None
    digest: str | None
    metrics: tuple[str, ...]
    directions: tuple[Literal["max", "min"], ...]
    reference: tuple[Finite, ...] | None = None
    limits: tuple[Constraint, ...]
    kept: tuple[Constraint, ...] | None = None
    strategy: str
    seed: int
    init: int
    batch: int
    candidates: int

    def differences(self, other: Plan) -> list[str]:
        """What another plan has otherwise, in words; the table's name may change, its content may not."""
        mine, theirs = self.model_dump(mode="json"), other.model_dump(mode="json")
        names = [name for name in mine if name != "table" and mine[name] != theirs[name]]
        return [f"{name} {json.dumps(mine[name])}, not {json.dumps(theirs[name])}" for name in names]

    @property
    def signs(self) -> Float[np.ndarray, "Q"]:
        """+1 where more is better, -1 where less is."""
        return np.array([1.0 if direction == "max" else -1.0 for direction in self.directions])


class Query(BaseModel):
    """An evaluated architecture.

    Attributes:
        arch: its text.
        values: one for each metric, None where the measurement failed.
        seconds: what the strategy spent on it.
        hypervolume: reached with it; None for a single metric.
        limited: a measurement for each of the plan's limits on them; None where there are none.
    """

    arch: str
    values: tuple[Finite | None, ...]
    seconds: float
    hypervolume: float | None = None
    limited: tuple[Finite | None, ...] | None = None


class Asked(BaseModel):
    """An architecture without value yet, and what the strategy has spent on it."""

    arch: str
    seconds: float


@dataclass
class History:
    """The record in memory; `write` makes the file of it."""

    plan: Plan
    budget: int
    queries: list[Query] = field(default_factory=list)
    pending: list[Asked] = field(default_factory=list)
    end: str | None = None
    seconds: float = 0.0

    def add(self, arch: str, values: Sequence[float], limited: Sequence[float], seconds: float) -> None:
        """Append a query; NaN stands for a failed measurement."""
        known, further = (
            tuple(None if math.isnan(value) else value for value in measured) for measured in (values, limited)
        )
        self.queries.append(Query(arch=arch, values=known, limited=further or None, seconds=seconds))
        if self.plan.reference is not None:
            volume = hypervolume(self.gains, self.plan.signs * np.array(self.plan.reference))
            self.queries[-1].hypervolume = volume

    @property
    def gains(self) -> Float[np.ndarray, "D Q"]:
        """Values such that larger is better, NaN where a measurement failed."""
        shape = (len(self.queries), len(self.plan.metrics))
        values = np.array([query.values for query in self.queries], dtype=np.float64)
        gains: Float[np.ndarray, "D Q"] = values.reshape(shape) * self.plan.signs
        return gains

    @property
    def best(self) -> list[int]:
        """Positions of the best query, or of the non-dominated ones; the first of equal ones, none before a value."""
        gains = self.gains
        if len(self.plan.metrics) > 1:
            return list(np.flatnonzero(pareto_front(gains)).tolist())
        limits = self.plan.kept or ()
        beyond = [bool(np.isnan(row).any()) or excess(limits, row) > 0 for row in self._limited.tolist()]
        gains[np.array(beyond, dtype=bool)] = np.nan
        return [] if np.isnan(gains).all() else [int(np.nanargmax(gains))]

    @property
    def _limited(self) -> Float[np.ndarray, "D _"]:
        """What limits are on, NaN where a measurement failed."""
        return np.array([query.limited or () for query in self.queries], dtype=np.float64).reshape(
            len(self.queries), len(self.plan.kept or ())
        )

    def told(self) -> list[list[Any]]:
        """The measurements as `Strategy.restore` takes them: texts and values of which more is better."""
        kept, rows = self.plan.kept or (), self.gains.tolist()
        if kept:
            rows = [
                [feasible_first(row[0], kept, more)] for row, more in zip(rows, self._limited.tolist(), strict=True)
            ]
        return [[query.arch, *row] for query, row in zip(self.queries, rows, strict=True)]

    def document(self) -> dict[str, Any]:
        """The content of the file."""
        several = len(self.plan.metrics) > 1
        shown = [_worded(query.__dict__) for query in self.queries]
        best = [{"query": row + 1, **shown[row]} for row in self.best]
        return {
            **_worded(self.plan.model_dump(mode="json")),
            "budget": self.budget,
            "history": shown,
            "pending": [asked.__dict__ for asked in self.pending],
            **({"pareto": best} if several else {"best": best[0] if best else None}),
            "end": self.end,
            "seconds": self.seconds,
        }

    def write(self, path: Path) -> None:
        """Replace the file in one step: whoever reads finds the old record or the new one.

        Raises:
            ProblemError: it cannot be written.
        """
        try:
            with replacing(path, path.with_name(f".{path.name}.{os.getpid()}.partial")) as file:
                file.write(_text(self.document()).encode())
        except OSError as error:
            raise ProblemError(f"{path} cannot be written: {error.strerror or error}") from error


def read_history(path: Path) -> History:
    """Read the file that `History.write` wrote.

    Raises:
        ProblemError: it is no record of a search.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return History(
            Plan.model_validate(_listed(content)),
            int(content["budget"]),
            [Query.model_validate(_listed(query)) for query in content["history"]],
            [Asked.model_validate(asked) for asked in content["pending"]],
            content["end"],
            float(content["seconds"]),
        )
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ProblemError(f"{path} is no record of a search ({reason}): name another file") from error


def _text(document: Mapping[str, Any]) -> str:
    """JSON with a line for each key and for each query, which people can read and the fast encoder can write."""
    lines = []
    for key, value in document.items():
        rows = [json.dumps(row) for row in value] if key in ("history", "pending", "pareto") else []
        text = "[\n  " + ",\n  ".join(rows) + "\n ]" if rows else json.dumps(value)
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _worded(content: Mapping[str, Any]) -> dict[str, Any]:
    """A single objective without lists, and without what only several have."""
    known = {key: value for key, value in content.items() if value is not None or key in ("table", "digest")}
    if any(len(known.get(plural, ())) > 1 for plural in _SINGULAR):
        return known
    return {_SINGULAR.get(key, key): value[0] if key in _SINGULAR else value for key, value in known.items()}


def _listed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_worded`."""
    plural = {word: key for key, word in _SINGULAR.items()}
    return {plural.get(key, key): [value] if key in plural else value for key, value in content.items()}
