"""An exact Gaussian process over blocks of features, one squared exponential each [Rasmussen2006]_.

    k(a, b) = Σ_i α_i exp(-|a_i - b_i|² / (2 l_i²)),    y = g + ε,  ε ~ N(0, σ²),                                 (1)

with all features of block i divided by the block's typical distance, so that one prior fits every block and every
space: ln α_i ~ N(0, 1), ln l_i ~ N(ln reach, spread²), ln σ² ~ N(ln noise, ·), and parameters at the mode of their
posterior. The prior is what counts with few labels: a search tells mostly good architectures, whose differences look
like noise, and a fit without it answers with ever shorter scales (docs/results/search.md).

Draws from the posterior are pathwise [Wilson2020]_: random Fourier features for the prior, corrected by what was told.

.. [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. MIT Press 2006.
.. [Wilson2020] J. T. Wilson et al. Efficiently Sampling Functions from Gaussian Process Posteriors. ICML 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtr
from scipy.stats import norm, rankdata

Blocks = list[Float[np.ndarray, "K _"]]

_WAVES = 256  # random Fourier features of a block
_JITTER = 1e-6


@dataclass(frozen=True)
class Prior:
    """Where the parameters of (1) are expected, and how firmly, as standard deviations of their logarithms."""

    reach: float
    reach_spread: float
    noise: float
    noise_spread: float
    amplitude_spread: float = 1.0


@dataclass(frozen=True)
class Kernel:
    """Parameters of (1)."""

    amplitudes: Float[np.ndarray, "b"]
    scales: Float[np.ndarray, "b"]
    noise: float

    def __call__(
        self, a: list[Float[np.ndarray, "A _"]], b: list[Float[np.ndarray, "B _"]]
    ) -> Float[np.ndarray, "A B"]:
        """Covariances of the noiseless values."""
        total: Float[np.ndarray, "A B"] = np.zeros((len(a[0]), len(b[0])), dtype=a[0].dtype)
        for x, y, amplitude, scale in zip(a, b, self.amplitudes, self.scales, strict=True):
            total += amplitude * np.exp(squared_distances(x, y) / (-2 * scale**2))
        return total

    @property
    def variance(self) -> float:
        """Of a noiseless value, before anything is told."""
        return float(self.amplitudes.sum())


def squared_distances(a: Float[np.ndarray, "A F"], b: Float[np.ndarray, "B F"]) -> Float[np.ndarray, "A B"]:
    """Between all rows."""
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    distances: Float[np.ndarray, "A B"] = np.maximum(squared, 0.0)
    return distances


def normal_scores(values: Float[np.ndarray, "D"]) -> Float[np.ndarray, "D"]:
    """What standard normal draws of the same order would be: the long lower tail of accuracies misleads a fit."""
    scores: Float[np.ndarray, "D"] = norm.ppf((rankdata(values) - 0.5) / len(values))
    return scores


def typical_distance(block: Float[np.ndarray, "K F"]) -> float:
    """Root of the mean squared distance between two rows."""
    return float(np.sqrt(2 * block.var(axis=0).sum()))


def mean_excess(
    mean: Float[np.ndarray, "K"], std: Float[np.ndarray, "K"], levels: Float[np.ndarray, "V"]
) -> Float[np.ndarray, "K V"]:
    """E max(0, g - v) of normal g, the expected improvement over each level [Jones1998]_.

    .. [Jones1998] D. R. Jones, M. Schonlau, W. J. Welch. Efficient Global Optimization of Expensive Black-Box
       Functions. Journal of Global Optimization 1998.
    """
    above = (mean[:, None] - levels) / std[:, None]
    density = np.exp(-(above**2) / 2) / np.sqrt(2 * np.pi)
    excess: Float[np.ndarray, "K V"] = std[:, None] * (above * ndtr(above) + density)
    return excess


def fit_kernel(blocks: Blocks, scores: Float[np.ndarray, "D"], prior: Prior) -> Kernel:
    """Parameters at the mode of their posterior, found by L-BFGS from the prior's own mode."""
    exact = [block.astype(np.float64) for block in blocks]
    distances = [squared_distances(block, block) for block in exact]
    b = len(blocks)
    centre = np.log([1.0] * b + [prior.reach] * b + [prior.noise])
    spread = np.array([prior.amplitude_spread] * b + [prior.reach_spread] * b + [prior.noise_spread])

    def loss(theta: Float[np.ndarray, "P"]) -> tuple[float, Float[np.ndarray, "P"]]:
        amplitudes, scales, noise = np.exp(theta[:b]), np.exp(theta[b:-1]), np.exp(theta[-1])
        parts = [a * np.exp(d / (-2 * s**2)) for a, s, d in zip(amplitudes, scales, distances, strict=True)]
        factor = cholesky(sum(parts) + (noise + _JITTER) * np.eye(len(scores)), lower=True)
        solved = cho_solve((factor, True), scores)
        outer = np.outer(solved, solved) - cho_solve((factor, True), np.eye(len(scores)))
        gradient = np.array(
            [(outer * part).sum() for part in parts]
            + [(outer * part * d).sum() / s**2 for part, d, s in zip(parts, distances, scales, strict=True)]
            + [np.trace(outer) * noise]
        )
        off = (theta - centre) / spread
        value = scores @ solved / 2 + np.log(np.diag(factor)).sum() + off @ off / 2
        return float(value), -gradient / 2 + off / spread

    far = 5 * spread
    bounds = list(zip(centre - far, centre + far, strict=True))
    theta = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}).x
    return Kernel(np.exp(theta[:b]), np.exp(theta[b:-1]), float(np.exp(theta[-1])))


class Posterior:
    """What a kernel and told scores say of other architectures."""

    def __init__(self, kernel: Kernel, told: Blocks, scores: Float[np.ndarray, "D"]) -> None:
        self.kernel, self.told, self.scores = kernel, told, scores
        exact = [block.astype(np.float64) for block in told]  # single precision leaves negative eigenvalues
        covariance = kernel(exact, exact)
        self.factor = cholesky(covariance + (kernel.noise + _JITTER) * np.eye(len(scores)), lower=True)

    def at(self, blocks: Blocks) -> Beliefs:
        """Means and variances of the noiseless scores."""
        rows = solve_triangular(self.factor, self.kernel(self.told, blocks), lower=True)
        mean = solve_triangular(self.factor, self.scores, lower=True) @ rows
        return Beliefs(self.kernel, blocks, rows, mean, self.kernel.variance - (rows**2).sum(axis=0))

    def draw(self, blocks: Blocks, n: int, rng: np.random.Generator) -> Float[np.ndarray, "K n"]:
        """Functions from the posterior, evaluated at the same places."""
        everything = [np.vstack(pair) for pair in zip(self.told, blocks, strict=True)]
        prior = np.zeros((len(everything[0]), n))
        for block, amplitude, scale in zip(everything, self.kernel.amplitudes, self.kernel.scales, strict=True):
            phase = block @ rng.normal(0.0, 1 / scale, (block.shape[1], _WAVES)) + rng.uniform(0, 2 * np.pi, _WAVES)
            prior += np.cos(phase) @ rng.normal(0.0, np.sqrt(2 * amplitude / _WAVES), (_WAVES, n))
        told = prior[: len(self.scores)] + rng.normal(0.0, np.sqrt(self.kernel.noise), (len(self.scores), n))
        missing = cho_solve((self.factor, True), self.scores[:, None] - told)
        drawn: Float[np.ndarray, "K n"] = prior[len(self.scores) :] + self.kernel(blocks, self.told) @ missing
        return drawn

    def draw_together(self, blocks: Blocks, n: int, rng: np.random.Generator) -> Float[np.ndarray, "K n"]:
        """Exact joint draws, each with its mirror image about the mean, for few places: the cost is cubic in them."""
        beliefs, exact = self.at(blocks), [block.astype(np.float64) for block in blocks]
        levels, axes = np.linalg.eigh(self.kernel(exact, exact) - beliefs.rows.T @ beliefs.rows)
        half = axes @ (np.sqrt(np.maximum(levels, 0.0))[:, None] * rng.normal(size=(len(levels), n // 2)))
        drawn: Float[np.ndarray, "K n"] = beliefs.mean[:, None] + np.hstack([half, -half])
        return drawn


@dataclass
class Beliefs:
    """A posterior at some architectures, which can be told what it believes.

    Attributes:
        mean: of the noiseless scores.
        variance: likewise.
    """

    kernel: Kernel
    blocks: Blocks
    rows: Float[np.ndarray, "D K"]
    mean: Float[np.ndarray, "K"]
    variance: Float[np.ndarray, "K"]

    @property
    def std(self) -> Float[np.ndarray, "K"]:
        """Standard deviations; rounding may leave a variance below zero."""
        deviations: Float[np.ndarray, "K"] = np.sqrt(np.maximum(self.variance, 1e-9))
        return deviations

    def believe(self, k: int) -> None:
        """Take the mean at k for told: means stay, variances shrink; a batch is thus asked one after the other."""
        here = [block[k : k + 1] for block in self.blocks]
        covariance = self.kernel(here, self.blocks)[0] - self.rows[:, k] @ self.rows
        row = covariance / np.sqrt(max(covariance[k], 0.0) + self.kernel.noise)
        self.rows = np.vstack([self.rows, row])
        self.variance = self.variance - row**2


def improve_in_turn(beliefs: Beliefs, incumbent: float, n: int, barred: Sequence[int] = ()) -> list[int]:
    """The n largest expected improvements, each after the ones before are believed; none of the barred."""
    chosen: list[int] = []
    allowed = np.ones(len(beliefs.mean), dtype=bool)
    allowed[list(barred)] = False
    while len(chosen) < n and allowed.any():
        improvement = mean_excess(beliefs.mean, beliefs.std, np.array([incumbent]))[:, 0]
        k = int(np.where(allowed, improvement, -1.0).argmax())
        chosen.append(k)
        allowed[k] = False
        incumbent = max(incumbent, float(beliefs.mean[k]))
        beliefs.believe(k)
    return chosen
