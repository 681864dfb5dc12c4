"""Local search [White2020]_: first-improvement hill climbing, batched, with restarts.

The neighbours of the best architecture so far are asked in random order; as soon as one is better, it is the best and
its neighbours come next. Once all neighbours of the best are told, the best is a local optimum, and the climb restarts
from the best architecture that still has open neighbours. The paper restarts from a random one, which takes longer
wherever good architectures lie together; it also asks one at a time. In a batch, what the neighbours of the best do
not fill goes to those of the next best.

.. [White2020] C. White, S. Nolen, Y. Savani. Exploring the Loss Landscape in Neural Architecture Search. UAI 2021.
"""

from __future__ import annotations

import numpy as np

from crlso.architecture import Architecture
from crlso.search.strategy import Strategy, class_values


class Local(Strategy):
    """Climbs by single changes."""

    name = "local"

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Open neighbours of the best told, in random order; then of the next best."""
        taken, asked = self.seen, list[Architecture]()
        if not self.measured:
            return asked
        archs, values = class_values(self.measured)
        for row in np.argsort(-values[:, 0], kind="stable"):
            around = [arch for arch in self.pool.neighbours(archs[row]) if arch.key not in taken]
            chosen = [around[index] for index in rng.permutation(len(around))[: n - len(asked)]]
            asked += chosen
            taken |= {arch.key for arch in chosen}
            if len(asked) == n:
                break
        return asked
