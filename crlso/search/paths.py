"""The path encoding of BANANAS [White2021]_: which operation sequences lead from an input to an output.

A path is the sequence of its node and edge types; nodes that only pass on the sum of their inputs are left out unless
the path starts or ends there, and no path leads over an edge that brings nothing. The encoding is truncated as in the
paper, whose argument is that rare paths tell little: only paths that are frequent in a sample are features.

.. [White2021] C. White, W. Neiswanger, Y. Savani. BANANAS: Bayesian Optimization with Neural Architectures for Neural
   Architecture Search. AAAI 2021.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float

from crlso.architecture import Graph, Schema

Path = tuple[str, ...]
"""Types along the way, both ends included."""

_MOST_FOLLOWED = 64  # paths that are followed on from a node, the shortest: dense graphs have exponentially many


def paths(graph: Graph, schema: Schema) -> set[Path]:
    """All type sequences from a source to a sink."""
    reached: list[set[Path]] = []
    ends: set[Path] = set()
    for node, kind in enumerate(schema.node_types[code] for code in graph.node_types):
        found: set[Path] = {(kind,)} if kind in schema.sources else set()
        passes = kind in schema.identity_nodes - schema.sinks
        for source in np.flatnonzero(graph.edge_types[:node, node]):
            edge = schema.edge_types[graph.edge_types[source, node]]
            if edge not in schema.zero_edges:
                found |= {(*path, edge) if passes else (*path, edge, kind) for path in reached[source]}
        if len(found) > _MOST_FOLLOWED:
            found = set(sorted(found, key=lambda path: (len(path), path))[:_MOST_FOLLOWED])
        reached.append(found)
        if kind in schema.sinks:
            ends |= reached[-1]
    return ends


def frequent_paths(graphs: Iterable[Graph], schema: Schema, most: int) -> dict[Path, int]:
    """The most frequent paths of a sample, numbered; those that occur once only are none of them."""
    counts = Counter(path for graph in graphs for path in paths(graph, schema))
    ranked = sorted((path for path, count in counts.items() if count > 1), key=lambda path: (-counts[path], path))
    return {path: column for column, path in enumerate(ranked[:most])}


def encode_paths(graph: Graph, schema: Schema, columns: Mapping[Path, int]) -> Float[np.ndarray, "F"]:
    """An indicator for each numbered path."""
    row = np.zeros(len(columns))
    row[[columns[path] for path in paths(graph, schema) if path in columns]] = 1.0
    return row
