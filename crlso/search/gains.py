"""What candidates are expected to add to the hypervolume, when a process for each objective believes in their scores.

What a front does not dominate above the reference is cut into boxes [l, u]. A candidate whose values y_q are
independent adds in expectation [Yang2019]_

    EHVI = Σ_[l,u] Π_q E clip(y_q - l_q, 0, u_q - l_q),                                                           (1)

each factor a difference of two mean excesses E max(0, y_q - v), which a `Warp` gives in closed form: there is no
sampling noise where gains are small and rare. But (1) takes what was told at its word. Measurements are noisy, and the
front of noisy values consists of the lucky ones. So of the most promising candidates by (1) those are taken that add
the most over the front *as believed* [Daulton2021]_, in the mean over joint draws of the told ones, the pending ones
and them; one after the other, each given the draws of those before.

.. [Daulton2021] S. Daulton, M. Balandat, E. Bakshy. Parallel Bayesian Optimization of Multiple Noisy Objectives with
   Expected Hypervolume Improvement. NeurIPS 2021.
.. [Yang2019] K. Yang, M. Emmerich, A. Deutz, T. Bäck. Efficient Computation of Expected Hypervolume Improvement Using
   Box Decomposition Algorithms. Journal of Global Optimization 75, 2019.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from crlso.pareto import pareto_front
from crlso.search.warp import Warp


def gain_together(
    told: Float[np.ndarray, "S D Q"], drawn: Float[np.ndarray, "S K Q"], reference: Float[np.ndarray, "Q"], n: int
) -> list[int]:
    """Candidates that together add the most to the hypervolume, greedily; fewer than n where there are no more.

    Args:
        told: joint draws of the values of what is there already.
        drawn: of the candidates, in the same draws.
        reference: where volumes begin.
        n: how many.
    """
    fronts, chosen = list(told), list[int]()
    for _ in range(min(n, drawn.shape[1])):
        gains = np.zeros(drawn.shape[1])
        for front, values in zip(fronts, drawn, strict=True):
            lower, upper = boxes(front, reference)
            gains += (np.minimum(values[:, None], upper) - lower).clip(min=0).prod(axis=2).sum(axis=1)
        gains[chosen] = -1.0
        k = int(gains.argmax())
        chosen.append(k)
        fronts = [np.vstack([front, values[k]]) for front, values in zip(fronts, drawn, strict=True)]
    return chosen


def expected_gain(
    mean: Float[np.ndarray, "K Q"], std: Float[np.ndarray, "K Q"], warp: Warp, values: Float[np.ndarray, "D Q"]
) -> Float[np.ndarray, "K"]:
    """Equation (1) for scores of that mean and deviation, over the front of these values."""
    lower, upper = boxes(values, warp.reference)
    gains = np.ones((len(mean), len(lower)))
    for q, (low, high) in enumerate(zip(lower.T, upper.T, strict=True)):
        excess = warp.mean_excess(q, mean[:, q], std[:, q], np.hstack([low, high]))
        gains *= excess[:, : len(low)] - excess[:, len(low) :]
    total: Float[np.ndarray, "K"] = gains.sum(axis=1)
    return total


def boxes(
    values: Float[np.ndarray, "D Q"], reference: Float[np.ndarray, "Q"]
) -> tuple[Float[np.ndarray, "C Q"], Float[np.ndarray, "C Q"]]:
    """What is above the reference and not dominated, as disjoint boxes with infinite upper ends where it is unbounded.

    Slabs between successive values of the last objective; within one, the points above it cut the other objectives.
    """
    values = values[(values > reference).all(axis=1)]
    values = values[pareto_front(values)]
    if len(reference) == 1:
        return values.max(axis=0, initial=reference[0], keepdims=True), np.full((1, 1), np.inf)
    levels = np.unique(np.append(values[:, -1], reference[-1]))
    parts = []
    for low, high in zip(levels, np.append(levels[1:], np.inf), strict=True):
        inner = boxes(values[values[:, -1] >= high, :-1], reference[:-1])
        parts.append(
            [np.column_stack([ends, np.full(len(ends), own)]) for ends, own in zip(inner, (low, high), strict=True)]
        )
    lower, upper = (np.vstack(ends) for ends in zip(*parts, strict=True))
    return lower, upper
