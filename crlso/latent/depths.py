"""How deep an architecture is: statistics over all paths from a source to a sink, without listing the paths.

Paths are many where a graph is large, exponentially so in a chain of residual blocks; their number, and how many
operations are met on them, follow from one pass over the nodes. Averages over no path, in a graph that does nothing,
are zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from crlso.architecture import Graph, Schema
from crlso.graphs import Padded, operations


def depth_features(graphs: Sequence[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Logarithm of the number of paths, whether one changes nothing, mean and most operations, mean of each kind."""
    padded = Padded.of(graphs, schema)
    nodes, edges = padded.node_types.numpy(), padded.edge_types.numpy()
    gains, silent = _gains(schema)
    paths = _are(nodes, schema, schema.sources).astype(np.float64)
    sums = np.zeros((*nodes.shape, gains.shape[1]))  # of each kind, then of all, over the paths that end in a node
    fewest = np.where(paths > 0, 0.0, np.inf)
    most = np.where(paths > 0, 0.0, -np.inf)
    for node in range(nodes.shape[1]):
        for source in range(node):
            kinds = edges[:, source, node]
            rows = np.flatnonzero(~silent[kinds] & (paths[:, source] > 0))
            gain = gains[kinds[rows]]
            paths[rows, node] += paths[rows, source]
            sums[rows, node] += sums[rows, source] + paths[rows, source, None] * gain
            fewest[rows, node] = np.minimum(fewest[rows, node], fewest[rows, source] + gain[:, -1])
            most[rows, node] = np.maximum(most[rows, node], most[rows, source] + gain[:, -1])
        gain = gains[len(schema.edge_types) + np.maximum(nodes[:, node], 0)]
        sums[:, node] += paths[:, node, None] * gain
        fewest[:, node] += gain[:, -1]
        most[:, node] += gain[:, -1]
    ends = _are(nodes, schema, schema.sinks)
    count = (paths * ends).sum(axis=1)
    mean = (sums * ends[:, :, None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    shortcut = np.where(ends, fewest, np.inf).min(axis=1) == 0
    deepest = np.where(count > 0, np.where(ends, most, -np.inf).max(axis=1), 0.0)
    return np.column_stack([np.log1p(count), shortcut, deepest, mean])


def _are(nodes: Int[np.ndarray, "K N"], schema: Schema, names: frozenset[str]) -> Bool[np.ndarray, "K N"]:
    return np.isin(nodes, [schema.node_types.index(name) for name in names])


def _gains(schema: Schema) -> tuple[Float[np.ndarray, "O D"], Bool[np.ndarray, "O"]]:
    """What passing an edge or node type adds to each count, the last of which is that of all; and which add no path."""
    kinds = operations(schema)
    gains = np.zeros((len(schema.edge_types) + len(schema.node_types), len(kinds) + 1))
    gains[list(kinds), range(len(kinds))] = 1.0
    gains[list(kinds), -1] = 1.0
    silent = np.zeros(len(gains), dtype=bool)
    silent[[0, *(schema.edge_types.index(name) for name in schema.zero_edges)]] = True
    return gains, silent
