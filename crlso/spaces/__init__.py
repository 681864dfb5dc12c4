"""Search spaces by name. A new space is one module here plus one line in `_SPACES`."""

from __future__ import annotations

from crlso.exceptions import unknown
from crlso.spaces.base import SearchSpace
from crlso.spaces.nasbench201 import NasBench201

_SPACES: dict[str, SearchSpace] = {space.name: space for space in (NasBench201(),)}


def get_space(name: str) -> SearchSpace:
    """The space of that name.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    if name not in _SPACES:
        raise unknown("space", name, _SPACES)
    return _SPACES[name]


def space_names() -> list[str]:
    """Names that `get_space` accepts."""
    return list(_SPACES)


__all__ = ["NasBench201", "SearchSpace", "get_space", "space_names"]
