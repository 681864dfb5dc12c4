"""Gradient-boosted trees on the choices, bootstrapped for uncertainty [Friedman2001]_ [Efron1979]_.

Each member of the ensemble is boosted on a bootstrap sample of what was told; every candidate's utility is the mean of
the members' predictions and half their standard deviation on top. On NAS-Bench-201 boosted trees reached the optimum
in fewer queries than random forests and extremely randomised trees, and the bound left less regret after 50 queries
than Thompson sampling, a whole standard deviation, or expected improvement.

.. [Friedman2001] J. H. Friedman. Greedy Function Approximation: A Gradient Boosting Machine. Annals of Statistics 29,
   2001.
.. [Efron1979] B. Efron. Bootstrap Methods: Another Look at the Jackknife. Annals of Statistics 7, 1979.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import GradientBoostingRegressor

from crlso.architecture import Architecture
from crlso.search.peers.surrogate import SurrogateStrategy, one_hot_choices

_MEMBERS = 5
_TREES = 100
_OPTIMISM = 0.5  # standard deviations added to the mean


class Trees(SurrogateStrategy):
    """Upper confidence bounds of a bootstrap ensemble of boosted trees."""

    name = "trees"

    def encode(self, arch: Architecture) -> Float[np.ndarray, "F"]:
        """The choices of the class's representative."""
        return one_hot_choices(self, arch)

    def utilities(
        self,
        known: Float[np.ndarray, "D F"],
        scores: Float[np.ndarray, "D"],
        candidates: Float[np.ndarray, "K F"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "K"]:
        """Upper confidence bounds."""
        predicted = np.empty((_MEMBERS, len(candidates)))
        for member in predicted:
            rows = rng.integers(len(known), size=len(known))
            model = GradientBoostingRegressor(n_estimators=_TREES, random_state=int(rng.integers(2**31)))
            member[:] = model.fit(known[rows], scores[rows]).predict(candidates)
        bound: Float[np.ndarray, "K"] = predicted.mean(axis=0) + _OPTIMISM * predicted.std(axis=0)
        return bound
