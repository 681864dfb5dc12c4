"""What several objectives have in place of a best value: the non-dominated set, and the volume that it dominates.

More is better in every objective. a dominates b when it is nowhere less and somewhere more; the hypervolume of a set A
above a reference r is the measure of what A dominates there [Zitzler1998]_,

    HV(A, r) = λ( ∪_{a ∈ A} [r, a] ),                                                                             (1)

exact: a sweep for two objectives, beyond that the recursion of WFG [While2012]_ on exclusive volumes,

    HV({a_1 … a_n}) = Σ_i ( λ[r, a_i] - HV({min(a_i, a_j) : j > i}) ),                                            (2)

with minima by coordinate. WFG's ordering heuristics are left out: fronts of a search have tens of points.

.. [Zitzler1998] E. Zitzler, L. Thiele. Multiobjective Optimization Using Evolutionary Algorithms: A Comparative Case
   Study. PPSN 1998.
.. [While2012] L. While, L. Bradstreet, L. Barone. A Fast Way of Calculating Exact Hypervolumes. IEEE Transactions on
   Evolutionary Computation 16(1), 2012.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def pareto_front(values: Float[np.ndarray, "D Q"]) -> Bool[np.ndarray, "D"]:
    """Which rows no other row dominates; equal rows do not dominate each other, so all of them stay.

    A row with NaN was not measured: it is never on the front and dominates nothing.
    """
    measured: Bool[np.ndarray, "D"] = ~np.isnan(values).any(axis=1)
    front: Bool[np.ndarray, "D"] = measured.copy()
    for row in np.flatnonzero(measured):
        if front[row]:  # what a dominated row dominates, its dominator dominates too
            mine = values[row]
            front &= ~((values <= mine).all(axis=1) & (values < mine).any(axis=1))
    return front


def hypervolume(values: Float[np.ndarray, "D Q"], reference: Float[np.ndarray, "Q"]) -> float:
    """Equation (1), in the product of the objectives' units; 0 where no row is above the reference in all of them.

    Args:
        values: one row a point; duplicates, dominated rows and rows with NaN change nothing.
        reference: r, the least value in each objective that counts.
    """
    gains = values - reference
    gains = gains[(gains > 0).all(axis=1)]
    return _volume(np.unique(gains[pareto_front(gains)], axis=0))


def _volume(front: Float[np.ndarray, "D Q"]) -> float:
    """Hypervolume above the origin of distinct points that do not dominate each other, all positive."""
    if len(front) == 0:
        return 0.0
    if front.shape[1] == 1:
        return float(front.max())
    if front.shape[1] == 2:
        front = front[np.argsort(-front[:, 0])]  # then the second objective rises along the rows
        return float(front[:, 0] @ np.diff(front[:, 1], prepend=0.0))
    total = 0.0
    for row, point in enumerate(front):
        shadow = np.minimum(point, front[row + 1 :])
        total += float(point.prod()) - _volume(np.unique(shadow[pareto_front(shadow)], axis=0))  # equation (2)
    return total
