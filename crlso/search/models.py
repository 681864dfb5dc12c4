"""What a search with several objectives believes of each: learned from what was told, or counted.

Scores are what processes are fitted to and what members climb; a `Warp` takes them to values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from crlso.architecture import Architecture
from crlso.search.counted import Counted
from crlso.search.describe import Descriptor
from crlso.search.process import Beliefs, Posterior


@dataclass(frozen=True)
class Learned:
    """What a process believes of an objective's scores."""

    posterior: Posterior
    describe: Descriptor

    def at(self, architectures: Sequence[Architecture]) -> Beliefs:
        """Means and deviations of the noiseless scores."""
        return self.posterior.at(self.describe(architectures))

    def draw(self, architectures: Sequence[Architecture], n: int, rng: np.random.Generator) -> Float[np.ndarray, "K n"]:
        """Scores of all of them in n functions from the posterior."""
        return self.posterior.draw(self.describe(architectures), n, rng)

    def draw_together(
        self, architectures: Sequence[Architecture], n: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "K n"]:
        """The same of few of them, and exact; n is even."""
        return self.posterior.draw_together(self.describe(architectures), n, rng)


@dataclass(frozen=True)
class Exact:
    """An objective that is a cost: its standardised value is its score, and every draw is the same."""

    cost: Counted
    center: float
    scale: float

    def at(self, architectures: Sequence[Architecture]) -> Certain:
        """The scores."""
        return Certain((self.cost(architectures) - self.center) / self.scale)

    def draw(
        self,
        architectures: Sequence[Architecture],
        n: int,
        rng: np.random.Generator,  # noqa: ARG002 (nothing is random)
    ) -> Float[np.ndarray, "K n"]:
        """The scores, n times."""
        return np.repeat(self.at(architectures).mean[:, None], n, axis=1)

    draw_together = draw


@dataclass(frozen=True)
class Certain:
    """Beliefs without doubt."""

    mean: Float[np.ndarray, "K"]

    @property
    def std(self) -> Float[np.ndarray, "K"]:
        """Next to nothing: a deviation is divided by."""
        return np.full(len(self.mean), 1e-9)


Model: TypeAlias = Learned | Exact
"""An objective as the strategy sees it."""
