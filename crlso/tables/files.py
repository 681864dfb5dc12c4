"""Tables as files: CSV and Parquet with an `arch` column, every other column a metric.

A blank cell (a null in Parquet) means "not measured"; a number that is not finite is an error. Parquet files
written here carry the descriptions of their metrics under the key `crlso` of the schema's metadata, and a metric's
single trials as lists in the column `<metric>.trials`, so that reading one gives the same table, digest included.

Files from elsewhere describe nothing: less is taken to be better where the column's name has one of the words in
`LESS_IS_BETTER`, more everywhere else, and unit and fidelity are unknown. Pass `Metric`s to say otherwise.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from jaxtyping import Float
from pydantic import BaseModel

from crlso.exceptions import TableError, UnknownNameError, unknown
from crlso.files import replacing
from crlso.spaces import SUFFIXES as SPACE_SUFFIXES
from crlso.spaces import get_space
from crlso.tables.table import Metric, Table, name_rows

SUFFIXES = (".csv", ".csv.gz", ".parquet")
"""Endings of the files that `read_table` reads."""

LESS_IS_BETTER = frozenset({"loss", "error", "latency", "energy", "seconds", "time", "params", "flops", "macs", "ms"})
"""Words in a column's name, between characters that are neither letters nor digits."""

_KEY = b"crlso"
_TRIALS = ".trials"


class _Description(BaseModel):
    """What a file of ours says about itself."""

    space: str
    name: str
    metrics: tuple[Metric, ...]


def read_table(path: str | Path, space: str | None = None, metrics: Sequence[str | Metric] = ()) -> Table:
    """Read a table from a CSV or Parquet file; rows of one architecture become one, with its mean.

    Args:
        path: a file that ends in one of `SUFFIXES`.
        space: name of the architectures' space, or the file that describes it; needed where the table does not say it.
        metrics: the columns to read, by name or with their description; all but `arch` when empty.

    Raises:
        UnknownNameError: no such space, or no such column; the message lists the known ones.
        TableError: the file is missing, unreadable, without `arch` column or not a table of measurements.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    try:
        columns = _read_parquet(path, metrics) if _suffix(path) == ".parquet" else _read_csv(path, metrics)
        return _table(path, columns, _description(path, columns, space), metrics)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    except (TableError, UnknownNameError) as error:
        raise type(error)(f"{path}: {error}") from error


def write_table(table: Table, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a table to a Parquet file: all of it or, on any error, nothing.

    Raises:
        TableError: the name does not end in `.parquet`, the file is there already, or it cannot be written.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite)
    try:
        with replacing(path, path.with_name(f".{path.name}.{os.getpid()}.partial")) as file:
            pa.parquet.write_table(_arrow(table), file)
    except OSError as error:
        raise TableError(f"{path} cannot be written: {error.strerror or error}") from error


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Find out before hours of work whether `write_table` would refuse a path.

    Raises:
        TableError: it would.
    """
    if path.suffix != ".parquet":
        raise TableError(f"{path}: tables are written as Parquet; give it a name that ends in .parquet")
    if path.exists() and not overwrite:
        raise TableError(f"{path} is there already: choose another name, or overwrite it (--force)")
    if not path.parent.is_dir():
        raise TableError(f"{path.parent} is not a directory: create it first")


def _suffix(path: Path) -> str:
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise TableError(f"unknown kind of file; expected a name that ends in {', '.join(SUFFIXES)}")


def _read_csv(path: Path, metrics: Sequence[str | Metric]) -> pa.Table:
    with pa.csv.open_csv(path) as reader:
        names = reader.schema.names
    wanted = _wanted(names, metrics)
    types = {name: pa.string() if name == "arch" else pa.float64() for name in wanted}
    convert = pa.csv.ConvertOptions(column_types=types, include_columns=wanted, null_values=[""])
    try:
        # One thread, because only then errors name the row.
        return pa.csv.read_csv(path, pa.csv.ReadOptions(use_threads=False), convert_options=convert)
    except pa.ArrowInvalid as error:
        message = re.sub(r"CSV column #(\d+)", lambda match: f"column {names[int(match[1])]!r}", str(error))
        message = re.sub(r"Row #(\d+)", lambda match: f"row {int(match[1]) - 1}", message)  # not the header
        raise TableError(
            f"{message}: every column but `arch` holds numbers; correct the value, remove the column, "
            "or name the metrics to read"
        ) from error


def _read_parquet(path: Path, metrics: Sequence[str | Metric]) -> pa.Table:
    with pa.parquet.ParquetFile(path) as file:
        wanted = _wanted(file.schema_arrow.names, metrics)
        return file.read([name for name in file.schema_arrow.names if name.removesuffix(_TRIALS) in wanted])


def _is_trials(name: str, names: Sequence[str]) -> bool:
    return name.endswith(_TRIALS) and name.removesuffix(_TRIALS) in names


def _wanted(names: Sequence[str], metrics: Sequence[str | Metric]) -> list[str]:
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise TableError(f"the column {repeated[0]!r} comes twice: rename or remove one")
    if "arch" not in names:
        raise TableError(f"no column `arch` with the architectures; the columns are {', '.join(names) or 'none'}")
    known = [name for name in names if name != "arch" and not _is_trials(name, names)]
    wanted = [metric.name if isinstance(metric, Metric) else metric for metric in metrics]
    for name in wanted:
        if name not in known:
            raise unknown("metric", name, known)
    return ["arch", *(wanted or known)]


def _description(path: Path, columns: pa.Table, space: str | None) -> _Description:
    """The file's own, or what can be said of a foreign file."""
    if content := (columns.schema.metadata or {}).get(_KEY):
        own = _Description.model_validate_json(content)
        if space is not None and space.endswith(SPACE_SUFFIXES):
            space = get_space(space).name
        if space not in (None, own.space):
            raise TableError(f"holds architectures of space {own.space}, not {space}")
        return own
    if space is None:
        raise TableError("does not say which space its architectures are of: name the space")
    return _Description(space=space, name=path.stem, metrics=())


def _table(path: Path, columns: pa.Table, described: _Description, metrics: Sequence[str | Metric]) -> Table:
    by_caller = (metric for metric in metrics if isinstance(metric, Metric))
    known = {metric.name: metric for metric in (*described.metrics, *by_caller)}
    texts = columns["arch"].to_pylist()
    if blank := [row for row, text in enumerate(texts) if not isinstance(text, str) or not text]:
        raise TableError(f"{name_rows(blank)}: no architecture in the column `arch`")
    measurements = {
        known.get(name) or _guess(name, path): _values(columns, name)
        for name in columns.column_names
        if name != "arch" and not _is_trials(name, columns.column_names)
    }
    if measurements and not metrics and not described.metrics:
        _check_measured(list(measurements.values()))
    return Table(described.space, described.name, texts, measurements)


def _check_measured(columns: Sequence[Float[np.ndarray, "rows"]]) -> None:
    """A selection of columns may well leave rows without a value, a whole file has no use for them."""
    blank = np.logical_and.reduce([np.isnan(values) for values in columns])
    if blank.any():
        raise TableError(f"{name_rows(np.flatnonzero(blank))}: nothing was measured: remove such rows")


def _guess(name: str, path: Path) -> Metric:
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return Metric(name, "min" if words & LESS_IS_BETTER else "max", source=path.name)


def _values(columns: pa.Table, name: str) -> Float[np.ndarray, "rows"] | Float[np.ndarray, "rows trials"]:
    """A metric's numbers with NaN for nulls: its trials where the file has them."""
    if name + _TRIALS in columns.column_names:
        lists = columns[name + _TRIALS].combine_chunks()
        flat: Float[np.ndarray, "values"] = lists.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(lists), -1)
    column = columns[name]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
        raise TableError(f"the column {name!r} holds {column.type}, not numbers: remove it or name the metrics to read")
    values: Float[np.ndarray, "rows"] = column.cast(pa.float64()).to_numpy()
    if len(wrong := np.flatnonzero(np.isnan(values) & ~column.is_null().to_numpy())):
        raise TableError(f"{name_rows(wrong)}: {name!r} is nan: leave blank what was not measured")
    return values


def _arrow(table: Table) -> pa.Table:
    columns: dict[str, pa.Array] = {"arch": pa.array(table.texts, pa.string())}
    for metric in table.metrics:
        columns[metric.name] = pa.array(table.column(metric.name), pa.float64(), from_pandas=True)
        if (trials := table.trials(metric.name)) is not None:
            flat = pa.array(trials.reshape(-1), pa.float64(), from_pandas=True)
            columns[metric.name + _TRIALS] = pa.FixedSizeListArray.from_arrays(flat, trials.shape[1])
    described = _Description(space=table.space, name=table.name, metrics=table.metrics)
    return pa.table(columns).replace_schema_metadata({_KEY: described.model_dump_json()})
