"""The architectures that a search may ask for: a whole space, or the part of it that somebody can evaluate.

Everything is by isomorphism class. Where all classes are known, `classes` lists one architecture of each: the
candidate that comes closest to the space's representative. Spaces too large for that are reached by sampling and
by single changes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

import numpy as np

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.spaces import SearchSpace

_ROUNDS = 20  # of drawing samples before a space counts as exhausted


class Pool:
    """What may be asked for.

    Attributes:
        members: all architectures that may be asked for, twins apart; None where the space is too large to list.
        classes: one of them a class; None likewise.
        partial: whether candidates are listed and are not the whole space.
    """

    def __init__(self, space: SearchSpace, candidates: Sequence[Architecture] | None = None) -> None:
        """List the classes, if they can be listed.

        Raises:
            ProblemError: `candidates` is empty.
        """
        if candidates is not None and not candidates:
            raise ProblemError("there is no candidate: nothing can be evaluated")
        self.space = space
        self.members: tuple[Architecture, ...] | None = None
        if candidates is not None:
            self.members = tuple(candidates)
            self.classes: tuple[Architecture, ...] | None = _representatives(space, self.members)
        elif space.enumerable:
            self.members, self.classes = _listed(space)
        else:
            self.classes = None
        self.partial = candidates is not None and not (space.enumerable and len(self) == len(_listed(space)[1]))
        self._class_of = None if self.classes is None else {arch.key: arch for arch in self.classes}

    def __contains__(self, arch: Architecture) -> bool:
        """Whether some member of the class may be asked for."""
        return self._class_of is None or arch.key in self._class_of

    def __len__(self) -> int:
        """Number of classes, or the size of the space where they are not listed."""
        return self.space.size if self.classes is None else len(self.classes)

    def admit(self, arch: Architecture) -> Architecture | None:
        """The architecture of the same class that would be asked for; None where no member may be."""
        return arch if self._class_of is None else self._class_of.get(arch.key)

    def sample(self, n: int, rng: np.random.Generator, without: AbstractSet[str] = frozenset()) -> list[Architecture]:
        """Draw architectures of distinct classes uniformly, none of `without`; fewer if there are no more."""
        found: dict[str, Architecture] = {}
        if self.members is not None:
            for row in rng.permutation(len(self.members)):
                arch = self.members[row]
                if len(found) == n:
                    break
                if arch.key not in without:
                    found.setdefault(arch.key, arch)
            return list(found.values())
        for _ in range(_ROUNDS):
            for arch in self.space.sample(min(2 * (n - len(found)), self.space.size), rng):
                if arch.key not in without and len(found) < n:
                    found.setdefault(arch.key, arch)
            if len(found) == n:
                break
        return list(found.values())

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """What may be asked for one elementary change away, one architecture a class, not the argument's own."""
        found: dict[str, Architecture] = {}
        for other in self.space.neighbours(arch):
            admitted = self.admit(other)
            if admitted is not None and admitted != arch:
                found.setdefault(admitted.key, admitted)
        return list(found.values())


@lru_cache(maxsize=4)
def _listed(space: SearchSpace) -> tuple[tuple[Architecture, ...], tuple[Architecture, ...]]:
    members = tuple(space.enumerate())
    return members, _representatives(space, members)


def _representatives(space: SearchSpace, members: Sequence[Architecture]) -> tuple[Architecture, ...]:
    """The space's own representative of each class where it is a member, the first member otherwise."""
    chosen: dict[str, Architecture] = {}
    for arch in members:
        if arch.key not in chosen or arch.text == space.canonical(arch).text:
            chosen[arch.key] = arch
    return tuple(chosen.values())
