"""The edges that may arrive at a node of a typed DAG: at most so many of them, counted, drawn and listed.

With a_e ways for edge e to be absent (0 or 1) and t_e types for it to have, the ways to choose edges e, e + 1, … so
that at most r are there are

    w_e(r) = a_e w_{e+1}(r) + t_e w_{e+1}(r - 1),    w_E(r) = 1,    w_e(-1) = 0,                                 (1)

and a uniform draw leaves edge e out with probability a_e w_{e+1}(r) / w_e(r), r being what the edges before it left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Column:
    """Edges that arrive at one node.

    Attributes:
        codes: of each edge the types that it may have, in ascending order, 0 for absent.
        limit: how many may be there.
        ways: w_e(r) by e and r.
    """

    codes: tuple[tuple[int, ...], ...]
    limit: int
    ways: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, codes: Sequence[tuple[int, ...]], most: int | None) -> Column:
        """Count by equation (1); `most` None for no limit."""
        limit = len(codes) if most is None else min(most, len(codes))
        ways = [(1,) * (limit + 1)]
        for allowed in reversed(codes):
            absent, types, rest = allowed.count(0), sum(code > 0 for code in allowed), ways[0]
            ways.insert(0, tuple(absent * rest[r] + (types * rest[r - 1] if r else 0) for r in range(limit + 1)))
        return cls(tuple(codes), limit, tuple(ways))

    @property
    def size(self) -> int:
        """In how many ways all edges can be chosen."""
        return self.ways[0][self.limit]

    def draw(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "n W"]:
        """Uniform draws, each edge as a position in its `codes`; `size` must not be 0."""
        left, rows = np.full(n, self.limit), np.zeros((n, len(self.codes)), dtype=np.int64)
        for edge, allowed in enumerate(self.codes):
            first = allowed.count(0)  # position of the first type
            pairs = zip(self.ways[edge], self.ways[edge + 1], strict=True)
            chances = [first * rest / ways if ways else 0.0 for ways, rest in pairs]
            there = rng.random(n) >= np.array(chances)[left]
            rows[there, edge] = rng.integers(first, max(len(allowed), first + 1), size=int(there.sum()))
            left -= there
        return rows

    def all(self, edge: int = 0, left: int | None = None) -> Iterator[tuple[int, ...]]:
        """All ways, from edge `edge` on where at most `left` may be there, in the order of positions."""
        left = self.limit if left is None else left
        if edge == len(self.codes):
            yield ()
            return
        for position, code in enumerate(self.codes[edge]):
            rest = left - (code > 0)
            if rest >= 0 and self.ways[edge + 1][rest]:
                yield from ((position, *others) for others in self.all(edge + 1, rest))
