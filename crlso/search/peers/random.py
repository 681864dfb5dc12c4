"""Random search: uniform over the architectures not asked for yet. What every other strategy must beat.

What a strategy proposes none of, `Strategy.ask` draws at random; here that is everything.
"""

from __future__ import annotations

import sys
from typing import ClassVar

import numpy as np

from crlso.architecture import Architecture
from crlso.search.strategy import Strategy


class Random(Strategy):
    """Draws without looking at any value, whatever their number."""

    name = "random"
    most_objectives: ClassVar[int] = sys.maxsize

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:  # noqa: ARG002 (leaves all to `ask`)
        """No wish of its own."""
        return []
