"""Measured labels: tables of architectures × metrics, from an installed package or from files."""

from __future__ import annotations

from crlso.exceptions import unknown
from crlso.spaces import get_space
from crlso.tables.embedded import DATASETS, load_embedded
from crlso.tables.files import read_table, write_table
from crlso.tables.official import import_official
from crlso.tables.table import Metric, Table


def table_names(space: str) -> list[str]:
    """Data sets that `load_table` knows of a space.

    Raises:
        UnknownNameError: there is no such space.
    """
    return list(DATASETS) if get_space(space).name == "nasbench201" else []


def load_table(space: str, dataset: str) -> Table:
    """Load a table that comes with crlso's dependencies.

    Raises:
        UnknownNameError: there is no such space, or no such table of it; the message lists those there are.
        TableError: the package that holds the table is missing or damaged.
    """
    if dataset not in table_names(space):
        raise unknown(f"table of {space}", dataset, table_names(space))
    return load_embedded(dataset)


__all__ = ["Metric", "Table", "import_official", "load_table", "read_table", "table_names", "write_table"]
