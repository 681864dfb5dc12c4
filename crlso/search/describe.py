"""What a search knows of an architecture before anybody trains it, as blocks of features for a Gaussian process.

Five blocks, all of the class's representative and hence the same for twins: typed nodes and edges, frequent paths,
statistics over all paths, decisions that are numbers, and the logarithms of exact costs. None costs a training: the
costs are closed forms, some ten microseconds an architecture. Every block is scaled to a given typical distance in a
reference sample, so that one prior fits all spaces; a block that does not vary there is left out.
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
from crlso.latent.features import MOST_PATHS_A_GRAPH, count_paths, decision_numbers, operation_paths, type_parts
from crlso.latent.population import count_costs
from crlso.search.process import Blocks, typical_distance
from crlso.spaces import SearchSpace

_MOST_PATHS = 200

Feature = Callable[[Sequence[Architecture]], Float[np.ndarray, "K F"]]


@dataclass(frozen=True)
class _Block:
    """A feature and the factors that give its columns the same spread, and its rows the wanted distance."""

    feature: Feature
    factors: Float[np.ndarray, "F"]


class Descriptor:
    """Turns architectures into blocks of features, and remembers them by class."""

    def __init__(self, space: SearchSpace, reference: Sequence[Architecture], spread: Mapping[str, float]) -> None:
        """Scale the blocks on a sample.

        Args:
            space: of the architectures.
            reference: a sample of it, or all there are.
            spread: which blocks to use, and what the typical distance of two rows of each is to be.
        """
        self.space = space
        representatives = [space.canonical(arch) for arch in reference]
        features = _features(space, representatives)
        blocks = [_scaled(features[name], representatives, name in _NUMERIC, far) for name, far in spread.items()]
        self._blocks = [block for block in blocks if block is not None]
        self._row_of: dict[str, int] = {}
        self._rows = [np.zeros((0, len(block.factors)), dtype=np.float32) for block in self._blocks]

    def __call__(self, architectures: Sequence[Architecture]) -> Blocks:
        """The blocks, a row an architecture."""
        new = {arch.key: self.space.canonical(arch) for arch in architectures if arch.key not in self._row_of}
        if new:
            self._row_of |= {key: len(self._row_of) + row for row, key in enumerate(new)}
            fresh = [block.feature(list(new.values())) * block.factors for block in self._blocks]
            self._rows = [np.vstack([old, rows], dtype=np.float32) for old, rows in zip(self._rows, fresh, strict=True)]
        chosen = [self._row_of[arch.key] for arch in architectures]
        return [rows[chosen] for rows in self._rows]


_NUMERIC = frozenset({"depths", "decisions", "costs"})
"""Blocks whose columns are of different units; those of the others are indicators."""


def _scaled(feature: Feature, representatives: Sequence[Architecture], even: bool, far: float) -> _Block | None:
    rows = feature(representatives)
    deviations = rows.std(axis=0)
    if not deviations.any():
        return None
    factors = np.where(deviations > 0, 1 / np.maximum(deviations, 1e-12), 0.0) if even else np.ones(rows.shape[1])
    return _Block(feature, factors * far / typical_distance(rows * factors))


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

    def decisions(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        return decision_numbers(archs, space)

    def costs(archs: Sequence[Architecture]) -> Float[np.ndarray, "K F"]:
        logs: Float[np.ndarray, "K F"] = np.log(np.hstack([count_costs(space, archs), np.ones((len(archs), 1))]))
        return logs

    return {"edges": edges, "paths": paths, "depths": depths, "decisions": decisions, "costs": costs}


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
