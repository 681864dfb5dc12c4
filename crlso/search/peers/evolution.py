"""Regularised evolution [Real2019]_: the population is whoever was told last, however good.

A child is one mutation of the best of `tournament` random members of the population; a telling adds a member and the
oldest one dies. The paper's population of 100 and tournaments of 25 also serve budgets of a few hundred: on
NAS-Bench-201 they reach the optimum in more seeds than 30 and 10 or 50 and 10. Deviations: the population grows from
what was told first instead of waiting for 100 random members, mutations that lead to a class told or asked for are
not drawn, and a member all of whose mutations are known is mutated again.

.. [Real2019] E. Real, A. Aggarwal, Y. Huang, Q. V. Le. Regularized Evolution for Image Classifier Architecture Search.
   AAAI 2019.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from crlso.architecture import Architecture
from crlso.search.strategy import Strategy, Told

_MUTATIONS = 20  # in a row, of a member whose neighbours are all known, before its child is left out


class Evolution(Strategy):
    """Ageing evolution by single changes, without crossover.

    Attributes:
        population: how many live.
        tournament: how many compete to be a parent.
    """

    name = "evolution"

    def __init__(self, *args: Any, population: int = 100, tournament: int = 25, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.population = population
        self.tournament = tournament

    @property
    def alive(self) -> list[Told]:
        """The youngest of the measured, oldest first."""
        return self.measured[-self.population :]

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """A child of each of n tournaments."""
        alive, taken, children = self.alive, self.seen, list[Architecture]()
        for _ in range(n if alive else 0):
            rivals = rng.choice(len(alive), size=min(self.tournament, len(alive)), replace=False)
            parent = max((alive[row] for row in rivals), key=lambda told: told.values[0])
            child = self._mutate(parent.arch, taken, rng)
            if child is not None:
                children.append(child)
                taken.add(child.key)
        return children

    def _mutate(self, arch: Architecture, taken: AbstractSet[str], rng: np.random.Generator) -> Architecture | None:
        """An open neighbour, or one of a random neighbour, and so on."""
        for _ in range(_MUTATIONS):
            around = self.pool.neighbours(arch)
            if fresh := [other for other in around if other.key not in taken]:
                return fresh[rng.integers(len(fresh))]
            if not around:
                break
            arch = around[rng.integers(len(around))]
        return None
