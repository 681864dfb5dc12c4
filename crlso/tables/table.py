"""Architectures × metrics: the one form in which crlso knows measured labels.

A row is one text of the space's notation. Isomorphic twins are rows of their own, because benchmarks trained
them apart and the difference is the benchmark's noise; a text that comes again is a further trial of its row. NaN
stands for "not measured" and for nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture
from crlso.exceptions import ArchitectureError, TableError, unknown
from crlso.spaces import get_space

_ROWS_NAMED = 3  # an error names this many rows, enough to find the cause


@dataclass(frozen=True)
class Metric:
    """What one column of a table measures.

    Attributes:
        name: how callers ask for it.
        direction: whether more or less of it is better.
        unit: of the values, empty where it is not known.
        fidelity: epochs of training behind a value, None where it does not apply or is not known.
        source: where the numbers come from.
        num_trials: the most trials that a value is the mean of, None where it is not known.
    """

    name: str
    direction: Literal["max", "min"] = "max"
    unit: str = ""
    fidelity: int | None = None
    source: str = ""
    num_trials: int | None = None

    @property
    def sign(self) -> float:
        """+1 where more of it is better, -1 where less is."""
        return 1.0 if self.direction == "max" else -1.0


class Table:
    """Measurements of architectures of one space, immutable.

    Attributes:
        space: name of the search space.
        name: what people call the table.
        texts: one architecture a row, as the space formats it, in the order of the source.
        metrics: what was measured, in the order of the source.
    """

    def __init__(
        self,
        space: str,
        name: str,
        texts: Iterable[str],
        measurements: Mapping[Metric, Float[np.ndarray, "rows"] | Float[np.ndarray, "rows trials"]],
    ) -> None:
        """Check and take over measurements.

        Args:
            space: name of the search space, or the file that describes it.
            name: what people call the table.
            texts: architectures in the space's notation; one that comes again adds trials to its first row.
            measurements: a value for each row, or one for each row and trial, in the metric's unit; NaN where
                nothing was measured.

        Raises:
            UnknownNameError: there is no such space.
            TableError: a row is not an architecture of the space, a value is infinite, or a metric was never
                measured; rows are counted from 1.
        """
        self.space = get_space(space).name
        self.name = name
        parsed = _parsed(self.space, texts)
        given = {metric: np.array(values, dtype=np.float64) for metric, values in measurements.items()}
        _check(parsed, given)
        self.texts = tuple(dict.fromkeys(parsed))
        arrays = {metric: _repeated(parsed, values) for metric, values in given.items()}
        self._trials = {metric.name: values for metric, values in arrays.items() if values.ndim == 2}
        self._means = {metric.name: _mean(values) for metric, values in arrays.items()}
        self.metrics = tuple(
            replace(metric, num_trials=values.shape[1]) if values.ndim == 2 else metric
            for metric, values in arrays.items()
        )
        for values in (*self._trials.values(), *self._means.values()):
            values.setflags(write=False)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Table({self.space!r}, {self.name!r}, {len(self)} rows, {', '.join(self._means)})"

    def metric(self, name: str) -> Metric:
        """The description of a metric.

        Raises:
            UnknownNameError: the table has no such metric; the message lists those it has.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise unknown("metric", name, self._means)

    def column(self, metric: str) -> Float[np.ndarray, "rows"]:
        """Means over trials, in the metric's unit; NaN where nothing was measured.

        Raises:
            UnknownNameError: the table has no such metric.
        """
        return self._means[self.metric(metric).name]

    def trials(self, metric: str) -> Float[np.ndarray, "rows trials"] | None:
        """The single trials, NaN where a row had fewer than others; None where the source gives only one value.

        Raises:
            UnknownNameError: the table has no such metric.
        """
        return self._trials.get(self.metric(metric).name)

    def value(self, arch: Architecture | str, metric: str) -> float | None:
        """The mean for exactly this text; None where the table has no such row or no value in it.

        A text is looked up as it is: a twin's measurement is another measurement. `SearchSpace.parse` first
        where a text may be written in another way than the space formats it.

        Raises:
            UnknownNameError: the table has no such metric.
        """
        values, row = self.column(metric), self._row_of.get(str(arch))
        return None if row is None or np.isnan(values[row]) else float(values[row])

    def ranked(self, metric: str) -> Int[np.ndarray, "measured"]:
        """Rows with a value, the best first, equal ones in the table's order.

        Raises:
            UnknownNameError: the table has no such metric.
        """
        worst_last = -self.metric(metric).sign * self.column(metric)
        order = np.argsort(worst_last, kind="stable")  # NaN sorts last under either sign
        return order[: np.count_nonzero(~np.isnan(self.column(metric)))]

    def architectures(self) -> list[Architecture]:
        """Every row's architecture."""
        return [get_space(self.space).parse(text) for text in self.texts]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the table says, whatever it is called and wherever it was read from."""
        described = [{**asdict(metric), "source": None} for metric in self.metrics]
        sha = hashlib.sha256(json.dumps([self.space, self.texts, described]).encode())
        for metric in self.metrics:
            values = self._trials.get(metric.name, self._means[metric.name])
            # One bit pattern for each number: 0.0 for both zeros, one NaN of the many.
            plain = np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8")
            sha.update(json.dumps(plain.shape).encode() + plain.tobytes())
        return sha.hexdigest()

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {text: row for row, text in enumerate(self.texts)}


def _parsed(space_name: str, texts: Iterable[str]) -> tuple[str, ...]:
    """The texts as the space formats them."""
    space, parsed, failed = get_space(space_name), [], []
    for row, text in enumerate(texts):
        try:
            parsed.append(space.format(space.parse(text)))
        except ArchitectureError as error:
            failed.append((row, error))
    if failed:
        rows = name_rows([row for row, _ in failed])
        raise TableError(f"{rows}: no architecture of space {space_name}: {failed[0][1]}; is it the right space?")
    return tuple(parsed)


def _check(texts: Sequence[str], arrays: Mapping[Metric, Float[np.ndarray, "rows ..."]]) -> None:
    if not texts or not arrays:
        raise TableError("no measurements: a table needs at least one row and one metric beside `arch`")
    names = [metric.name for metric in arrays]
    for metric, values in arrays.items():
        if names.count(metric.name) > 1 or metric.name in ("", "arch") or metric.direction not in ("max", "min"):
            raise TableError(f"{metric}: a metric needs a name of its own, not `arch`, and direction max or min")
        if values.ndim not in (1, 2) or len(values) != len(texts):
            raise TableError(f"metric {metric.name!r}: {values.shape} values for {len(texts)} rows")
        if np.isnan(values).all():
            raise TableError(f"metric {metric.name!r} has no measurement in any row: leave it out")
        infinite = np.isinf(values).reshape(len(values), -1).any(axis=1)
        if infinite.any():
            rows = name_rows(np.flatnonzero(infinite))
            raise TableError(f"{rows}: metric {metric.name!r} is infinite: leave blank what was not measured")


def _repeated(texts: Sequence[str], values: Float[np.ndarray, "given ..."]) -> Float[np.ndarray, "rows ..."]:
    """A row for each text, with all its values as trials; a plain column stays one where repetitions only agree."""
    given: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        given.setdefault(text, []).append(number)
    if len(given) == len(texts):
        return values
    most = max(len(numbers) for numbers in given.values())
    padded = np.array([numbers + [-1] * (most - len(numbers)) for numbers in given.values()])
    there = (padded >= 0)[:, :, None]
    trials = np.where(there, values.reshape(len(texts), -1)[padded], np.nan).reshape(len(given), -1)
    least, largest = np.fmin.reduce(trials, axis=1), np.fmax.reduce(trials, axis=1)
    agreed = values.ndim == 1 and np.array_equal(least, largest, equal_nan=True)
    return largest if agreed else trials


def name_rows(rows: Sequence[int] | Int[np.ndarray, "rows"]) -> str:
    """Name the first few rows, counted from 1, and say how many more there are."""
    named = ", ".join(str(row + 1) for row in rows[:_ROWS_NAMED])
    more = len(rows) - _ROWS_NAMED
    return f"row{'s' if len(rows) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")


def _mean(values: Float[np.ndarray, "rows ..."]) -> Float[np.ndarray, "rows"]:
    """Over the trials that took place."""
    if values.ndim == 1:
        return values
    count = np.count_nonzero(~np.isnan(values), axis=1)
    total = np.nansum(values, axis=1)
    mean: Float[np.ndarray, "rows"] = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return mean
