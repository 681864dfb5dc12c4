"""Few labels: a Gaussian process that ranks all architectures, for the latent space to learn from.

CR-LSO trains a graph network on 300 labels and lets it label the rest; at that size an exact Gaussian process ranks
better (docs/results/ranking.md). Its kernel adds up a squared exponential on the typed edges and one on the operation
sequences of the paths from source to sink, both of the representative, hence the same for twins. It is fitted to
the normal scores of the values, because the long lower tail of accuracies misleads a fit to the values themselves.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm, rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from crlso.architecture import Graph, Schema
from crlso.latent.population import Population

_SCALES = (0.3, 30.0)  # bounds of the length scales, in mismatches
_MOST_FOR_KERNEL = 500  # labels that choose the kernel's parameters: their cost grows with the cube
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
    population: Population, schema: Schema, values: Float[np.ndarray, "K"], known: Bool[np.ndarray, "K"]
) -> Float[np.ndarray, "K"]:
    """Posterior means of the normal scores of all classes.

    Args:
        population: the classes.
        schema: of their graphs.
        values: larger is better; only known ones count.
        known: classes with a value, at least two.
    """
    graphs = [arch.graph for arch in population.representatives]
    edges, paths = _edge_features(graphs, schema), _path_features(graphs, schema)
    features = np.hstack([edges, paths])
    rows = np.flatnonzero(known)
    scores = norm.ppf((rankdata(values[rows]) - 0.5) / len(rows))
    kernel = (
        ConstantKernel() * _Columns(0, edges.shape[1])
        + ConstantKernel() * _Columns(edges.shape[1], features.shape[1])
        + WhiteKernel(0.05, (1e-3, 1.0))
    )
    few = np.random.default_rng(_SEED).permutation(len(rows))[:_MOST_FOR_KERNEL]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter at its bound is an answer too
        fitted = GaussianProcessRegressor(kernel).fit(features[rows[few]], scores[few]).kernel_
    process = GaussianProcessRegressor(fitted, optimizer=None).fit(features[rows], scores)
    means: Float[np.ndarray, "K"] = process.predict(features)
    return means


def _edge_features(graphs: list[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Node and edge types as indicators; graphs smaller than the schema's have type 0 in what they lack."""
    upper = np.triu_indices(schema.num_nodes, 1)
    rows = np.zeros((len(graphs), schema.num_nodes + len(upper[0])), dtype=np.int64)
    for row, graph in zip(rows, graphs, strict=True):
        edges = np.zeros((schema.num_nodes, schema.num_nodes), dtype=np.int64)
        edges[: graph.num_nodes, : graph.num_nodes] = graph.edge_types
        row[: graph.num_nodes] = graph.node_types
        row[schema.num_nodes :] = edges[upper]
    indicators = np.eye(max(len(schema.node_types), len(schema.edge_types)))[rows]
    flat: Float[np.ndarray, "K F"] = indicators.reshape(len(graphs), -1)
    return flat[:, flat.std(axis=0) > 0]


def _path_features(graphs: list[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Which operation sequences lead from a source to a sink."""
    sequences = [_paths(graph, schema) for graph in graphs]
    columns = {path: column for column, path in enumerate(sorted(set().union(*sequences)))}
    present = np.zeros((len(graphs), len(columns)))
    for row, paths in zip(present, sequences, strict=True):
        row[[columns[path] for path in paths]] = 1.0
    return present


def _paths(graph: Graph, schema: Schema) -> set[tuple[str, ...]]:
    reached: list[set[tuple[str, ...]]] = []
    ends: set[tuple[str, ...]] = set()
    for node, kind in enumerate(schema.node_types[code] for code in graph.node_types):
        paths: set[tuple[str, ...]] = {()} if kind in schema.sources else set()
        for source in range(node):
            edge = schema.edge_types[graph.edge_types[source, node]]
            if graph.edge_types[source, node]:
                step: tuple[str, ...] = () if edge in schema.identity_edges else (edge,)
                paths |= {path + step for path in reached[source]}
        if kind not in schema.identity_nodes:
            paths = {(*path, kind) for path in paths}
        reached.append(paths)
        if kind in schema.sinks:
            ends |= paths
    return ends
