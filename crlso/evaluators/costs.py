"""Exact costs beside what was measured: objectives that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from crlso.networks import costs
from crlso.networks.costs import Costs
from crlso.tables import Metric, Table

COSTS = tuple(field.name for field in fields(Costs))
"""Names of the exact costs; less is better in each."""


def with_costs(table: Table, names: Sequence[str]) -> Table:
    """The table with columns of exact costs, as `crlso.networks` counts them by default.

    Args:
        table: measurements; a column of such a name is kept as it is.
        names: of `COSTS`; others are left to whoever looks for the column.

    Raises:
        UnknownNameError: no network is known for the table's space.
    """
    known = {metric.name for metric in table.metrics}
    added = [name for name in dict.fromkeys(names) if name in COSTS and name not in known]
    if not added:
        return table
    counted = [costs(arch) for arch in table.architectures()]
    columns = {metric: table.column(metric.name) for metric in table.metrics}
    for name in added:
        values = np.array([getattr(cost, name) for cost in counted], dtype=np.float64)
        columns[Metric(name, "min", source="counted by crlso")] = values
    return Table(table.space, table.name, table.texts, columns)
