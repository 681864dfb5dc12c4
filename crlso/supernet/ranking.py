"""How well a guess orders architectures, and how sure that is.

Kendall's τ-b and Spearman's ρ are over all of them, which says little about the best. The regret of the k best by the
guess is what one loses who takes one of these,

    r_k = max_i y_i - E[y_j : j among the k with the largest guesses],                                            (1)

with ties at the k-th place broken at random, in expectation. Intervals are percentiles of the bootstrap over
architectures [Efron1979]_: they say how the figure would vary with other architectures, not with another supernet.

.. [Efron1979] B. Efron. Bootstrap Methods: Another Look at the Jackknife. Annals of Statistics 7(1), 1979.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import kendalltau, spearmanr

from crlso.exceptions import ProblemError

TOPS = (1, 10)
"""The k of the regrets."""

_LEVEL = 0.95


class Estimate(NamedTuple):
    """A figure with its interval of 95 %.

    Attributes:
        value: over the architectures as they are.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def regret(guess: Float[np.ndarray, "N"], truth: Float[np.ndarray, "N"], k: int) -> float:
    """Equation (1), in units of the truth; 1 ≤ k ≤ N.

    Args:
        guess: more is thought to be better.
        truth: more is better.
        k: how many are taken.
    """
    last = np.partition(guess, -k)[-k]
    above, tied = guess > last, guess == last
    taken = truth[above].sum() + (k - above.sum()) * truth[tied].mean()
    return float(truth.max() - taken / k)


def rank(
    guess: Float[np.ndarray, "N"], truth: Float[np.ndarray, "N"], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Estimate]:
    """Figures by name: kendall_tau, spearman_rho, regret_1, regret_10.

    Args:
        guess: more is thought to be better.
        truth: more is better.
        seed: of the bootstrap; with it, two guesses are judged on the same draws.
        resamples: of the bootstrap.

    Raises:
        ProblemError: there are too few architectures, or nothing in them to order.
    """
    if len(truth) < max(TOPS):
        raise ProblemError(f"{len(truth)} architectures to rank: at least {max(TOPS)}")
    if np.ptp(guess) == 0 or np.ptp(truth) == 0:
        raise ProblemError("all architectures have the same value: there is nothing to rank")
    rng = np.random.default_rng(seed)
    whole = np.array(_figures(guess, truth))
    chosen = rng.integers(len(truth), size=(resamples, len(truth)))
    draws = np.array([_figures(guess[rows], truth[rows]) for rows in chosen])
    low, high = np.nanquantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    names = ("kendall_tau", "spearman_rho", *(f"regret_{k}" for k in TOPS))
    rows = np.column_stack([whole, low, high]).tolist()
    return {name: Estimate(*row) for name, row in zip(names, rows, strict=True)}


def _figures(guess: Float[np.ndarray, "N"], truth: Float[np.ndarray, "N"]) -> tuple[float, ...]:
    return (
        kendalltau(guess, truth).statistic,
        spearmanr(guess, truth).statistic,
        *(regret(guess, truth, k) for k in TOPS),
    )
