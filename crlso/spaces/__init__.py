"""Search spaces by name: those that come with crlso, and your own ones once a file or a model has brought them.

A new space is one module here plus one line in `_SPACES`, or a YAML file (`custom`). Flexible spaces have a depth, the
usual one or that of a suffix: `darts-flexible@5` has five cells.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from crlso.exceptions import SpaceError, UnknownNameError, unknown
from crlso.spaces.base import SearchSpace
from crlso.spaces.custom import load_space, read_space, same_space
from crlso.spaces.darts import Darts
from crlso.spaces.darts_flexible import DEPTH, DEPTHS, FAMILIES, FlexibleDarts
from crlso.spaces.mobile import Mobile
from crlso.spaces.nasbench101 import NasBench101
from crlso.spaces.nasbench201 import NasBench201

_BUILT_IN = (NasBench201(), NasBench101(), Darts(), *map(FlexibleDarts, FAMILIES), Mobile())
_SPACES: dict[str, SearchSpace] = {space.name: space for space in _BUILT_IN}

SUFFIXES = (".yaml", ".yml")
"""Endings of the files that describe spaces."""


def get_space(name: str | Path) -> SearchSpace:
    """The space of that name, or the one that a YAML file describes.

    Args:
        name: of a space, with the depth of a flexible one if it is not the usual, or a file's path that ends in .yaml
            or .yml; the file's space is then registered.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
        SpaceError: the file describes no space, or one whose name is taken.
    """
    if str(name).endswith(SUFFIXES):
        return register_space(load_space(name))
    family, at, depth = str(name).partition("@")
    if at and family in FAMILIES:
        return _of_depth(family, depth)
    if name not in _SPACES:
        known = unknown("space", str(name), _SPACES)
        raise UnknownNameError(f"{known}; a space of your own goes by its file, which ends in {' or '.join(SUFFIXES)}")
    return _SPACES[str(name)]


def register_space(space: SearchSpace) -> SearchSpace:
    """Make a space known by its name; returns the one that has it, which an equal description may have brought before.

    Raises:
        SpaceError: another space has that name.
    """
    known = _SPACES.setdefault(space.name, space)
    same = known is space or (known.source and space.source and same_space(known.source, space.source))
    if not same:
        whose = "comes with crlso" if known.source is None else "was described otherwise before"
        raise SpaceError(f"a space named {space.name!r} {whose}: give this one another name")
    return known


def space_names() -> list[str]:
    """Names that `get_space` accepts, flexible spaces by that of their usual depth."""
    return list(_SPACES)


def family_of(name: str) -> str:
    """A space's name without the depth that a flexible one may have."""
    family = name.partition("@")[0]
    return family if family in FAMILIES else name


@cache
def _of_depth(family: str, depth: str) -> SearchSpace:
    if not re.fullmatch("[1-9][0-9]?", depth) or int(depth) not in DEPTHS:
        ends = f"{family}@{DEPTHS.start} to {family}@{DEPTHS.stop - 1}"
        raise UnknownNameError(f"unknown space {f'{family}@{depth}'!r}: a number of cells follows the @, {ends}")
    return _SPACES[family] if int(depth) == DEPTH else FlexibleDarts(family, int(depth))


__all__ = [
    "Darts",
    "FlexibleDarts",
    "Mobile",
    "NasBench101",
    "NasBench201",
    "SearchSpace",
    "family_of",
    "get_space",
    "read_space",
    "register_space",
    "space_names",
]
