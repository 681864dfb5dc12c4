"""Few labels: a Gaussian process that ranks all architectures, for the latent space to learn from.

CR-LSO trains a graph network on 300 labels and lets it label the rest; at that size an exact Gaussian process ranks
better (docs/results/ranking.md). Its kernel adds up a squared exponential on the typed edges and one on the operation
sequences of the paths from source to sink, both of the representative, hence the same for twins. It is fitted to
the normal scores of the values, because the long lower tail of accuracies misleads a fit to the values themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm, rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from crlso.architecture import Schema
from crlso.latent.features import edge_features, path_features
from crlso.latent.population import Population

_SCALES = (0.3, 30.0)  # bounds of the length scales, in mismatches
_MOST_FOR_KERNEL = 500  # labels that choose the kernel's parameters: their cost grows with the cube
_CHUNK = 5000  # rows predicted at once
_SEED = 0  # of the choice of those labels


class _Columns(RBF):  # type: ignore[misc]  # scikit-learn has no types
    """A squared exponential on some columns of the features."""

    def __init__(
        self, first: int, last: int, length_scale: float = 2.0, length_scale_bounds: tuple[float, float] = _SCALES
    ) -> None:
        super().__init__(length_scale, length_scale_bounds)
        self.first = first
        self.last = last

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:  # noqa: N803  scikit-learn's names
        part = slice(self.first, self.last)
        return super().__call__(X[:, part], None if Y is None else Y[:, part], eval_gradient)


def teach(
    population: Population,
    schema: Schema,
    values: Float[np.ndarray, "K"],
    known: Bool[np.ndarray, "K"],
    extra: Sequence[Float[np.ndarray, "K _"]] = (),
) -> Float[np.ndarray, "K"]:
    """Posterior means of the normal scores of all classes.

    Args:
        population: the classes.
        schema: of their graphs.
        values: larger is better; only known ones count.
        known: classes with a value, at least two.
        extra: blocks of further features, each with a squared exponential of its own.
    """
    graphs = [arch.graph for arch in population.representatives]
    blocks = [block for block in (edge_features(graphs, schema), path_features(graphs, schema), *extra) if block.size]
    features = np.hstack(blocks)
    rows = np.flatnonzero(known)
    scores = norm.ppf((rankdata(values[rows]) - 0.5) / len(rows))
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)]).tolist()
    parts = [ConstantKernel() * _Columns(first, last) for first, last in pairwise(ends)]
    kernel = reduce(add, [*parts, WhiteKernel(0.05, (1e-3, 1.0))])
    few = np.random.default_rng(_SEED).permutation(len(rows))[:_MOST_FOR_KERNEL]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter at its bound is an answer too
        fitted = GaussianProcessRegressor(kernel).fit(features[rows[few]], scores[few]).kernel_
    process = GaussianProcessRegressor(fitted, optimizer=None).fit(features[rows], scores)
    chunks = np.array_split(features, 1 + len(features) // _CHUNK)
    return np.concatenate([process.predict(chunk) for chunk in chunks])
