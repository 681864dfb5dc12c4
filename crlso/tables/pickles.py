"""Pickles read as data: a global is looked up in a short list of harmless stand-ins and is refused otherwise.

A pickle is a program. What it can do beyond building numbers, texts and containers it does through the globals
that it names, so a reader that hands out none of them runs nothing of what a stranger wrote. Three readers:
`load_plain` for small files, at C speed, with no global at all; `load_arrays` for a dict that holds arrays of plain
numbers as well; `DigestingUnpickler` for files far larger than memory, which hands each record to a callback as soon
as it is complete, so that it can shrink it in place.
"""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from io import BufferedIOBase
from typing import Any, ClassVar, NoReturn

import numpy as np

from crlso.exceptions import TableError

_NUMBER_CODES = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})


def load_plain(file: BufferedIOBase) -> Any:
    """Read a pickle of numbers, texts, lists, tuples and dicts.

    Raises:
        TableError: the pickle names a global.
    """
    return _PlainUnpickler(file).load()


def load_arrays(file: BufferedIOBase) -> dict[str, Any]:
    """Read a pickled dict of what `load_plain` reads and of arrays of numbers; texts of Python 2 as latin-1.

    Raises:
        TableError: the pickle is no dict, or it names a global that such arrays have no need of.
    """
    values = _ArrayUnpickler(file, encoding="latin1").load()
    if not isinstance(values, dict):
        raise TableError(f"the file holds a {type(values).__name__}: expected a dict")
    return {key: value.array if isinstance(value, _Array) else value for key, value in values.items()}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise _refused(module_name, global_name)


class _NumberType:
    """Stands in for `numpy.dtype`, for plain numbers only."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in _NUMBER_CODES:
            raise TableError(f"the file holds numpy values of type {code!r}: expected plain numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for `numpy.ndarray`: what `_reconstruct` begins and the pickled state completes."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        self.array = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _from_buffer(content: bytes | bytearray, kind: _NumberType, shape: tuple[int, ...], order: str) -> _Array:
    """Stands in for the function with which protocol 5 writes arrays."""
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", content))
    return array


def _number(kind: _NumberType, data: bytes) -> float | int | bool:
    """Stands in for numpy's constructor of scalars."""
    value: float | int | bool = np.frombuffer(data, kind.dtype, count=1)[0].item()
    return value


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`, with which protocol 2 writes bytes."""
    if encoding != "latin1":
        raise TableError(f"the file holds bytes encoded as {encoding!r}: expected latin1")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
    ("_codecs", "encode"): _encode,
}


_ARRAY_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _NumberType,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Callable[..., Any]:
        if (module_name, global_name) not in _ARRAY_STAND_INS:
            raise _refused(module_name, global_name)
        return _ARRAY_STAND_INS[module_name, global_name]


_DISPATCH: dict[int, Callable[[Any], None]] = pickle._Unpickler.dispatch


class _Memo(list[Any]):
    """The objects that later parts of a pickle refer to by number; numbers count up, so a list holds them."""

    def __setitem__(self, number: Any, value: Any) -> None:
        if number == len(self):
            self.append(value)
        else:
            super().__setitem__(number, value)


class DigestingUnpickler(pickle._Unpickler):  # the C reader cannot be looked into while it reads
    """Reads a pickle and calls back for each dict that has a given key, as soon as its items are in.

    Two things keep memory small beside the callback: equal texts are kept once, and the memo, which lives as
    long as the reader and counts millions of entries, is a list rather than a dict.
    """

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_DISPATCH)

    def __init__(self, file: BufferedIOBase, key: str, digest: Callable[[dict[Any, Any]], None]) -> None:
        """Read from a file; `digest` receives each dict that has `key` and may empty it."""
        super().__init__(file)
        self.memo = _Memo()
        self._key = key
        self._digest = digest

    def find_class(self, module_name: str, global_name: str) -> Callable[..., Any]:
        """The stand-in of a harmless global.

        Raises:
            TableError: it is not one of them.
        """
        if (module_name, global_name) not in _STAND_INS:
            raise _refused(module_name, global_name)
        return _STAND_INS[module_name, global_name]

    def _load_items(self) -> None:
        _DISPATCH[pickle.SETITEMS[0]](self)
        record = self.stack[-1]
        if self._key in record:
            self._digest(record)

    def _load_text(self) -> None:
        _DISPATCH[pickle.BINUNICODE[0]](self)
        self.stack[-1] = sys.intern(self.stack[-1])

    dispatch[pickle.SETITEMS[0]] = _load_items
    dispatch[pickle.BINUNICODE[0]] = _load_text


def _refused(module_name: str, global_name: str) -> TableError:
    return TableError(
        f"the file's pickle names {module_name}.{global_name}, which plain data have no need of: not read, because "
        "unpickling it would run code; get the file from its official source"
    )
