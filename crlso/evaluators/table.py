"""Evaluation by looking up: what a benchmark has measured before stands in for training.

Values are those of exactly the text that was asked for: a twin's measurement is another measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.tables import Metric, Table


class TableEvaluator:
    """Looks measurements up in some columns of a table.

    Attributes:
        name: the table's name.
        metrics: what is looked up.
        candidates: architectures that have a value in every chosen column, in the table's order.
        reference: the worst value of each metric among the candidates.
    """

    def __init__(self, table: Table, metrics: Sequence[str | Metric]) -> None:
        """Choose columns.

        Args:
            table: measurements.
            metrics: columns by name, or described anew where the direction is to be another than the table's.

        Raises:
            UnknownNameError: the table has no such metric.
            ProblemError: none was chosen, one was chosen twice, or no row has a value in all of them.
        """
        self.name = table.name
        self.metrics = tuple(_described(table, metric) for metric in metrics)
        names = [metric.name for metric in self.metrics]
        if not names or len(set(names)) < len(names):
            raise ProblemError(f"{', '.join(names) or 'no metric'}: name one metric, or several different ones")
        values = np.column_stack([table.column(name) for name in names])
        rows = np.flatnonzero(~np.isnan(values).any(axis=1)).tolist()
        if not rows:
            raise ProblemError(f"no architecture of {table.name} has a value in all of {', '.join(names)}")
        archs = table.architectures()
        self.candidates = tuple(archs[row] for row in rows)
        self._values = {table.texts[row]: tuple(values[row].tolist()) for row in rows}
        worst = [m.sign * (m.sign * values[rows, column]).min() for column, m in enumerate(self.metrics)]
        self.reference = tuple(float(value) for value in worst)
        self._table = table

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the chosen columns, as of a table that has no others."""
        columns = {self._table.metric(metric.name): self._table.column(metric.name) for metric in self.metrics}
        return Table(self._table.space, self.name, self._table.texts, columns).digest

    def evaluate(self, arch: Architecture) -> tuple[float, ...]:
        """The measurements of exactly this text.

        Raises:
            ProblemError: it is no candidate.
        """
        if arch.text not in self._values:
            raise ProblemError(f"{self.name} has no measurement of {arch.text}: ask for one of its candidates")
        return self._values[arch.text]


def _described(table: Table, metric: str | Metric) -> Metric:
    own = table.metric(metric.name if isinstance(metric, Metric) else metric)
    return metric if isinstance(metric, Metric) else own
