"""The official NAS-Bench-201 file [Dong2020]_, several GB of training curves, turned into one small table.

The file is a torch pickle: `arch2infos[i]["full" | "less"]["all_results"][dataset, seed]` is one trial of 200 or
12 epochs, with a dict of epochs for each curve. Its own API holds all of it in memory, tens of GB; here each trial
is reduced to its last epoch when its last byte has been read. What a trial says is left to the API's own class,
`nas_201_api.ResultsCount`. As in that API, CIFAR-10 is validated with the networks trained on half of the training
images ("cifar10-valid") and tested with those trained on all of them ("cifar10"); training times are the former's.

.. [Dong2020] X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
   ICLR 2020.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from crlso.exceptions import TableError
from crlso.tables.pickles import DigestingUnpickler, load_plain
from crlso.tables.table import Metric, Table

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what torch wrote first before its files became zip archives
_BUFFER = 1 << 20
_RECORD_KEY = "eval_acc1es"  # only the record of a trial has it
_SCHEDULES = {"full": (200, ""), "less": (12, "_12ep")}


class _Column(NamedTuple):
    """Where a metric of ours is in the file."""

    name: str
    direction: Literal["max", "min"]
    unit: str
    dataset: str
    field: str


_COLUMNS = (
    _Column("cifar10_val_accuracy", "max", "percent", "cifar10-valid", "x-valid"),
    _Column("cifar10_test_accuracy", "max", "percent", "cifar10", "ori-test"),
    _Column("cifar10_train_seconds", "min", "s", "cifar10-valid", "seconds"),
    _Column("cifar100_val_accuracy", "max", "percent", "cifar100", "x-valid"),
    _Column("cifar100_test_accuracy", "max", "percent", "cifar100", "x-test"),
    _Column("cifar100_train_seconds", "min", "s", "cifar100", "seconds"),
    _Column("imagenet16_val_accuracy", "max", "percent", "ImageNet16-120", "x-valid"),
    _Column("imagenet16_test_accuracy", "max", "percent", "ImageNet16-120", "x-test"),
    _Column("imagenet16_train_seconds", "min", "s", "ImageNet16-120", "seconds"),
)


def import_official(path: str | Path, progress: Callable[[int, int], None] | None = None) -> Table:
    """Read `NAS-Bench-201-v1_*.pth`.

    Args:
        path: the file, as downloaded.
        progress: called now and then with the bytes read and the bytes in all.

    Returns:
        A table with `<dataset>_val_accuracy`, `<dataset>_test_accuracy` (percent) and `<dataset>_train_seconds`
        for cifar10, cifar100 and imagenet16 after 200 epochs, and the same with the ending `_12ep`; metrics and
        architectures that the file does not measure are left out.

    Raises:
        TableError: the file is missing, damaged, of another format, or its pickle names a global that has no
            business there.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    try:
        with _pickle_of(path) as (stream, size):

            def digest(trial: dict[str, Any]) -> None:
                _reduce(trial)
                if progress is not None:
                    progress(stream.tell(), size)

            content = DigestingUnpickler(stream, _RECORD_KEY, digest).load()
        return _table(path, content)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise TableError(
            f"{path} is damaged or no official NAS-Bench-201 file ({error!r}); expected NAS-Bench-201-v1_*.pth"
        ) from error


@contextmanager
def _pickle_of(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """The pickle inside a torch file of the present or the legacy format, and where it ends at the latest."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            (entry,) = [item for item in archive.infolist() if item.filename.endswith("/data.pkl")]
            with archive.open(entry) as member:
                yield io.BufferedReader(member, _BUFFER), entry.file_size  # type: ignore[type-var]
    else:
        with path.open("rb") as file:
            if load_plain(file) != _LEGACY_MAGIC:
                raise TableError("not a file written by torch.save")
            load_plain(file)  # format version
            load_plain(file)  # the writer's system
            yield file, path.stat().st_size


def _reduce(trial: dict[str, Any]) -> None:
    """Replace a trial's curves, in place, by their last epoch: evaluated accuracies and seconds of training."""
    from nas_201_api import ResultsCount  # imports torch

    result = ResultsCount.create_from_state_dict(dict(trial))
    reduced = {name: result.get_eval(name)["accuracy"] for name in result.get_eval_set()}
    reduced |= {"seconds": result.get_train()["all_time"], "epochs": result.get_total_epoch()}
    for value in trial.values():
        if isinstance(value, dict):
            value.clear()  # the unpickler's memo keeps the dict itself alive
    trial.clear()
    trial.update(reduced)


def _table(path: Path, content: dict[str, Any]) -> Table:
    texts, infos = content["meta_archs"], content["arch2infos"]
    rows = sorted(set(content["evaluated_indexes"]) & set(infos))
    measurements = {}
    for schedule, (epochs, ending) in _SCHEDULES.items():
        for column in _COLUMNS:
            trials = [_trials(infos[row][schedule], column, epochs) for row in rows]
            width = max(map(len, trials), default=0)
            if width > 0:
                metric = Metric(column.name + ending, column.direction, column.unit, epochs, path.name)
                measurements[metric] = np.array([t + [np.nan] * (width - len(t)) for t in trials])
    return Table("nasbench201", path.stem, [texts[row] for row in rows], measurements)


def _trials(info: dict[str, Any], column: _Column, epochs: int) -> list[float]:
    """One value a seed, in the order of the seeds."""
    values = []
    for seed in sorted(info["dataset_seed"].get(column.dataset, ())):
        trial = info["all_results"][column.dataset, seed]
        if trial["epochs"] != epochs:
            raise TableError(f"a trial of {trial['epochs']} epochs where {epochs} were expected")
        value = trial.get(column.field)
        values.append(np.nan if value is None else float(value))
    return values
