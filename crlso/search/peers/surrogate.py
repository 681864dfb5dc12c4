"""What the peers with a surrogate share: candidates, features, targets, and asking for the most promising.

Where the classes of the pool are listed, every open one is a candidate. Elsewhere they are the single changes of the
best told and a few draws, as in BANANAS. Surrogates are fitted to the normal scores of the values, because the long
lower tail of accuracies misleads a fit to the values themselves.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from crlso.architecture import Architecture
from crlso.search.process import normal_scores
from crlso.search.strategy import Strategy, class_values

_MOST_SCORED = 20_000  # classes that are all scored for each question; larger pools are searched near the best told
_PARENTS = 10  # best told whose neighbours are candidates then
_DRAWS = 200  # further candidates, uniform


class SurrogateStrategy(Strategy):
    """Fits a model to what was told and asks for the candidates of the highest utility."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._row = lru_cache(maxsize=_MOST_SCORED)(self.encode)

    @abstractmethod
    def encode(self, arch: Architecture) -> Float[np.ndarray, "F"]:
        """Features of one architecture, the same for twins."""

    @abstractmethod
    def utilities(
        self,
        known: Float[np.ndarray, "D F"],
        scores: Float[np.ndarray, "D"],
        candidates: Float[np.ndarray, "K F"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "K"]:
        """What to ask for first, of the candidates, given normal scores of known architectures; larger is sooner."""

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """The n candidates of the highest utility."""
        if not self.measured:
            return []
        archs, values = class_values(self.measured)
        best = np.argsort(-values[:, 0], kind="stable")
        candidates = open_candidates(self, [archs[row] for row in best], rng)
        if not candidates:
            return []
        scores = normal_scores(values[:, 0])
        utilities = self.utilities(self._rows(archs), scores, self._rows(candidates), rng)
        order = np.lexsort((rng.random(len(candidates)), -utilities))  # among equals by chance
        return [candidates[row] for row in order[:n]]

    def _rows(self, archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        return np.array([self._row(arch) for arch in archs])


def one_hot_choices(strategy: Strategy, arch: Architecture) -> Float[np.ndarray, "F"]:
    """What the class's representative chose in each decision, an indicator an option."""
    space = strategy.space
    choices = space.choices(space.canonical(arch))
    return np.concatenate([np.eye(len(names))[chosen] for names, chosen in zip(space.options, choices, strict=True)])


def open_candidates(strategy: Strategy, best: Sequence[Architecture], rng: np.random.Generator) -> list[Architecture]:
    """Open architectures, one a class: all there are, or those around the first few of the best and some draws."""
    pool, seen = strategy.pool, strategy.seen
    if pool.classes is not None and len(pool) <= _MOST_SCORED:
        return [arch for arch in pool.classes if arch.key not in seen]
    parents = best[:_PARENTS]
    near = {other.key: other for arch in parents for other in pool.neighbours(arch) if other.key not in seen}
    return [*near.values(), *pool.sample(_DRAWS, rng, without=seen | near.keys())]
