"""What a search knows of an architecture before anybody trains it, as blocks of features for a Gaussian process.

Six features, all of the class's representative and hence the same for twins: typed nodes and edges, frequent paths,
statistics over all paths, counts of operations, decisions that are numbers, and the logarithms of exact costs. None
costs a training: the costs are closed forms, some ten microseconds an architecture. Every feature is scaled to the same
typical distance in a reference sample, and so is every block, one feature or several side by side, to a given one: one
prior then fits all spaces. What does not vary in the sample is left out.

Features in one block say "alike" only of what is alike in all of them, a product of kernels; separate blocks add up
what each knows alone. Decisions, counts and costs belong together: a network of given choices is better or worse than
others of its size, and no function of the size alone says so (docs/results/pareto.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Schema
from crlso.graphs import Padded
from crlso.latent.depths import depth_features
from crlso.latent.features import (
    MOST_PATHS_A_GRAPH,
    count_paths,
    decision_numbers,
    operation_counts,
    operation_paths,
    type_parts,
)
from crlso.latent.population import count_costs
from crlso.search.process import Blocks, typical_distance
from crlso.spaces import SearchSpace

_MOST_PATHS = 200

Feature = Callable[[Sequence[Architecture]], Float[np.ndarray, "K F"]]
Spread = Mapping[tuple[str, ...], float]
"""The features of each block, and what the typical distance of two of its rows is to be."""


@dataclass(frozen=True)
class _Scaled:
    """A feature and the factors that give its columns the same spread, and its rows the wanted distance."""

    feature: Feature
    factors: Float[np.ndarray, "F"]

    def __call__(self, representatives: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        rows: Float[np.ndarray, "K F"] = self.feature(representatives) * self.factors
        return rows


class Descriptor:
    """Turns architectures into blocks of features, and remembers them by class."""

    def __init__(self, space: SearchSpace, reference: Sequence[Architecture], spread: Spread) -> None:
        """Scale the blocks on a sample.

        Args:
            space: of the architectures.
            reference: a sample of it, or all there are.
            spread: which blocks there are.
        """
        self.space = space
        representatives = [space.canonical(arch) for arch in reference]
        features = _features(space, representatives)
        self._blocks: list[list[_Scaled]] = []
        for names, far in spread.items():
            parts = [_scaled(features[name], representatives, name in _NUMERIC) for name in names]
            varying = [part for part in parts if part is not None]
            share = far / np.sqrt(max(1, len(varying)))
            if varying:
                self._blocks.append([_Scaled(part.feature, part.factors * share) for part in varying])
        self._row_of: dict[str, int] = {}
        widths = [sum(len(part.factors) for part in block) for block in self._blocks]
        self._rows = [np.zeros((0, width), dtype=np.float32) for width in widths]

    def __call__(self, architectures: Sequence[Architecture]) -> Blocks:
        """The blocks, a row an architecture."""
        new = {arch.key: self.space.canonical(arch) for arch in architectures if arch.key not in self._row_of}
        if new:
            self._row_of |= {key: len(self._row_of) + row for row, key in enumerate(new)}
            representatives = list(new.values())
            fresh = [np.hstack([part(representatives) for part in block]) for block in self._blocks]
            self._rows = [np.vstack([old, rows], dtype=np.float32) for old, rows in zip(self._rows, fresh, strict=True)]
        chosen = [self._row_of[arch.key] for arch in architectures]
        return [rows[chosen] for rows in self._rows]


_NUMERIC = frozenset({"depths", "operations", "decisions", "costs"})
"""Features whose columns are of different units; those of the others are indicators."""


def _scaled(feature: Feature, representatives: Sequence[Architecture], even: bool) -> _Scaled | None:
    """The feature at typical distance one; None where nothing varies."""
    rows = feature(representatives)
    deviations = rows.std(axis=0)
    if not deviations.any():
        return None
    factors = np.where(deviations > 0, 1 / np.maximum(deviations, 1e-12), 0.0) if even else np.ones(rows.shape[1])
    return _Scaled(feature, factors / typical_distance(rows * factors))


def _features(space: SearchSpace, representatives: Sequence[Architecture]) -> dict[str, Feature]:
    schema = space.schema
    columns = _frequent_paths(representatives, schema)

    places, kinds = _varying(representatives, schema), type_parts(schema)

    def edges(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        padded = Padded.of([arch.graph for arch in archs], schema)
        nodes = padded.node_types.numpy()[:, :, None] == np.arange(len(schema.node_types))
        typed = kinds[padded.edge_types.numpy()[:, *places]]
        return np.hstack([part.reshape(len(archs), -1) for part in (nodes, typed)]).astype(np.float64)

    def paths(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        present = np.zeros((len(archs), max(1, len(columns))))
        for row, arch in zip(present, archs, strict=True):
            found = operation_paths(arch.graph, schema) if columns else ()
            row[[columns[path] for path in found if path in columns]] = 1.0
        return present

    def depths(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        return depth_features([arch.graph for arch in archs], schema)

    def operations(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        return operation_counts([arch.graph for arch in archs], schema)

    def decisions(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        return decision_numbers(archs, space)

    def costs(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        logs: Float[np.ndarray, "K F"] = np.log(np.hstack([count_costs(space, archs), np.ones((len(archs), 1))]))
        return logs

    return {
        "edges": edges,
        "paths": paths,
        "depths": depths,
        "operations": operations,
        "decisions": decisions,
        "costs": costs,
    }


def _varying(representatives: Sequence[Architecture], schema: Schema) -> Int[np.ndarray, "2 P"]:
    """The pairs of nodes that are not joined alike in all: large graphs have few such."""
    edges = Padded.of([arch.graph for arch in representatives], schema).edge_types.numpy()
    return np.array((edges != edges[0]).any(axis=0).nonzero())


def _frequent_paths(representatives: Sequence[Architecture], schema: Schema) -> dict[tuple[str, ...], int]:
    """The most frequent operation sequences, numbered; none where a graph has too many to list."""
    graphs = [arch.graph for arch in representatives]
    if max(count_paths(graph, schema) for graph in graphs) > MOST_PATHS_A_GRAPH:
        return {}
    found = Counter(path for graph in graphs for path in operation_paths(graph, schema))
    ranked = sorted(found, key=lambda path: (-found[path], path))
    return {path: column for column, path in enumerate(ranked[:_MOST_PATHS])}
