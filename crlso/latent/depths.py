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
from crlso.latent.features import type_parts


def depth_features(graphs: Sequence[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Logarithm of the number of paths, whether one changes nothing, mean and most operations, mean of each kind."""
    padded = Padded.of(graphs, schema)
    nodes, edges = padded.node_types.numpy(), padded.edge_types.numpy()
    gains = _gains(schema)
    ways, gained, least, largest = _through(schema, gains)
    paths = _are(nodes, schema, schema.sources).astype(np.float64)
    sums = np.zeros((*nodes.shape, gains.shape[1]))  # of each kind, then of all, over the paths that end in a node
    fewest = np.where(paths > 0, 0.0, np.inf)
    most = np.where(paths > 0, 0.0, -np.inf)
    for node in range(nodes.shape[1]):
        for source in range(node):
            kinds = edges[:, source, node]
            rows = np.flatnonzero((ways[kinds] > 0) & (paths[:, source] > 0))
            kinds, arriving = kinds[rows], ways[kinds[rows]] * paths[rows, source]
            paths[rows, node] += arriving
            sums[rows, node] += ways[kinds, None] * sums[rows, source] + paths[rows, source, None] * gained[kinds]
            fewest[rows, node] = np.minimum(fewest[rows, node], fewest[rows, source] + least[kinds])
            most[rows, node] = np.maximum(most[rows, node], most[rows, source] + largest[kinds])
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


def _gains(schema: Schema) -> Float[np.ndarray, "O D"]:
    """What passing an edge or node type adds to each count, the last of which is that of all."""
    several = {schema.edge_types.index(name) for name in schema.parts}
    kinds = [kind for kind in operations(schema) if kind not in several]
    gains = np.zeros((len(schema.edge_types) + len(schema.node_types), len(kinds) + 1))
    gains[kinds, range(len(kinds))] = 1.0
    gains[kinds, -1] = 1.0
    return gains


def _through(
    schema: Schema, gains: Float[np.ndarray, "O D"]
) -> tuple[Float[np.ndarray, "E"], Float[np.ndarray, "E D"], Float[np.ndarray, "E"], Float[np.ndarray, "E"]]:
    """How many ways lead over an edge type, what they add in all, what the shortest adds and what the longest."""
    plain = [n for n, name in enumerate(schema.edge_types) if name not in schema.parts]
    ways = type_parts(schema).astype(np.float64)
    ways[:, [plain.index(n) for n in [0, *map(schema.edge_types.index, schema.zero_edges)]]] = 0.0
    lengths = gains[plain, -1]
    least, largest = (np.where(ways > 0, lengths, np.inf).min(axis=1), np.where(ways > 0, lengths, -np.inf).max(axis=1))
    return ways.sum(axis=1), ways @ gains[plain], least, largest
