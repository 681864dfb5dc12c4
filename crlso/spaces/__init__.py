"""Search spaces by name: those that come with crlso, and your own ones once a file or a model has brought them.

A new space is one module here plus one line in `_SPACES`, or a YAML file (`custom`).
"""

from __future__ import annotations

from pathlib import Path

from crlso.exceptions import SpaceError, UnknownNameError, unknown
from crlso.spaces.base import SearchSpace
from crlso.spaces.custom import load_space, read_space, same_space
from crlso.spaces.darts import Darts
from crlso.spaces.mobile import Mobile
from crlso.spaces.nasbench101 import NasBench101
from crlso.spaces.nasbench201 import NasBench201

_SPACES: dict[str, SearchSpace] = {space.name: space for space in (NasBench201(), NasBench101(), Darts(), Mobile())}

SUFFIXES = (".yaml", ".yml")
"""Endings of the files that describe spaces."""


def get_space(name: str | Path) -> SearchSpace:
    """The space of that name, or the one that a YAML file describes.

    Args:
        name: of a space, or a file's path that ends in .yaml or .yml; the file's space is then registered.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
        SpaceError: the file describes no space, or one whose name is taken.
    """
    if str(name).endswith(SUFFIXES):
        return register_space(load_space(name))
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
    """Names that `get_space` accepts."""
    return list(_SPACES)


__all__ = [
    "Darts",
    "Mobile",
    "NasBench101",
    "NasBench201",
    "SearchSpace",
    "get_space",
    "read_space",
    "register_space",
    "space_names",
]
