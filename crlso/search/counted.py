"""Objectives that nobody has to measure: exact costs, told in whatever unit the user likes.

Parameters or multiply-adds as an objective are known of every architecture before it is built. A search that learns
them from what it was told, as it learns accuracies, spends its budget on what is free. So an objective whose told
values are an affine function of an exact cost is taken for that cost. Nothing but told values is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from crlso.architecture import Architecture
from crlso.latent.population import count_costs
from crlso.spaces import SearchSpace

_FEWEST = 5  # different costs on one line before that is no coincidence
_ROUNDED = 1e-4  # of the range: tables write costs with few digits


@dataclass(frozen=True)
class Counted:
    """The map from a space's exact costs to an objective.

    Attributes:
        space: of the architectures.
        column: which cost, in the order of `cost_names`.
        slope: of the objective, a unit of cost; negative where less is better.
        offset: of the objective at no cost.
    """

    space: SearchSpace
    column: int
    slope: float
    offset: float

    @classmethod
    def find(
        cls, space: SearchSpace, architectures: Sequence[Architecture], values: Float[np.ndarray, "D"]
    ) -> Counted | None:
        """The cost that told values are, if they are one."""
        for column, cost in enumerate(count_costs(space, architectures).T):
            low, high = cost.argmin(), cost.argmax()
            if len(np.unique(cost)) < _FEWEST or values[low] == values[high]:
                continue
            slope = (values[high] - values[low]) / (cost[high] - cost[low])
            offset = values[low] - slope * cost[low]
            if np.abs(slope * cost + offset - values).max() <= _ROUNDED * np.ptp(values):
                return cls(space, column, float(slope), float(offset))
        return None

    def __call__(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "K"]:
        """The objective, in the unit in which it was told."""
        values: Float[np.ndarray, "K"] = (
            self.slope * count_costs(self.space, architectures)[:, self.column] + self.offset
        )
        return values
