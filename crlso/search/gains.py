"""What candidates are expected to add to the hypervolume, when a process for each objective believes in their scores.

What a front does not dominate above the reference is cut into boxes [l, u]. A candidate whose values y_q are
independent adds in expectation [Yang2019]_

    EHVI = Σ_[l,u] Π_q E clip(y_q - l_q, 0, u_q - l_q),                                                           (1)

each factor a difference of two mean excesses E max(0, y_q - v), which a `Warp` gives in closed form. There is no
sampling noise: late in a search gains are small and rare, and the few draws that meet them would be a lottery.

.. [Yang2019] K. Yang, M. Emmerich, A. Deutz, T. Bäck. Efficient Computation of Expected Hypervolume Improvement Using
   Box Decomposition Algorithms. Journal of Global Optimization 75, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from crlso.search.pareto import pareto_front
from crlso.search.process import Beliefs
from crlso.search.warp import Warp


def gain_in_turn(beliefs: Sequence[Beliefs], warp: Warp, n: int) -> list[int]:
    """Candidates of the largest expected gain, each after the ones before are believed; one process an objective."""
    values, chosen = warp.values, list[int]()
    for _ in range(min(n, len(beliefs[0].mean))):
        mean, std = (np.stack(parts, axis=1) for parts in zip(*((one.mean, one.std) for one in beliefs), strict=True))
        gains = expected_gain(mean, std, warp, values)
        gains[chosen] = -1.0
        k = int(gains.argmax())
        chosen.append(k)
        values = np.vstack([values, warp(mean[k : k + 1])])
        for one in beliefs:
            one.believe(k)
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
