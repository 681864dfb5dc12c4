"""Labels that nobody here tuned on: analog-nasbench as a table that `benchmarks/search.py` can read.

The package holds a pickle of its own classes. It is read with stand-ins for these two classes and for nothing else, so
that no code of the file runs. Columns: the retrained accuracy in floating point, the accuracy after training for analog
hardware, and that after a day of its drift.

    pip install analog-nasbench
    python benchmarks/analog_table.py --out analog.parquet
    python benchmarks/search.py --table analog.parquet --metric baseline_accuracy analog_accuracy drifted_accuracy \
        --budget 100 --out results.json
"""

from __future__ import annotations

import argparse
import pickle
from importlib.metadata import files
from pathlib import Path
from typing import Any

from crlso.spaces import get_space
from crlso.spaces.nasbench201 import EDGES
from crlso.tables import Metric, Table, write_table

OPERATIONS = (1, 0, 3, 2, 4)
"""The package's operation codes, skip, none, 3x3, 1x1, pool, as crlso numbers them."""

ORDER = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""The package's edges as (source, target)."""


class _Record:
    """Stands in for either class of the package: attributes without methods."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "analognasbench.data" and name in ("Architecture", "DriftMeasurement"):
            return _Record
        raise pickle.UnpicklingError(f"the file names {module}.{name}: it is not the package's")


def main() -> None:
    """Convert the installed package's data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    (data,) = (path for path in files("analog-nasbench") or () if path.match("analognasbench/data.anb"))
    with Path(data.locate()).open("rb") as file:
        records: dict[tuple[int, ...], Any] = _Reader(file).load()
    space = get_space("nasbench201")
    texts, rows = [], []
    for codes, record in records.items():
        code = dict(zip(ORDER, codes, strict=True))
        texts.append(space.from_choices([OPERATIONS[code[edge]] for edge in EDGES]).text)
        rows.append((record.baseline_accuracy, record.analog_accuracy, record.analog_drift_86400.value))
    names = ("baseline_accuracy", "analog_accuracy", "drifted_accuracy")
    columns = {
        Metric(name, unit="%", source="analog-nasbench"): list(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    write_table(Table("nasbench201", "analog-nasbench", texts, columns), args.out)
    print(f"{len(texts)} cells written to {args.out}")


if __name__ == "__main__":
    main()
