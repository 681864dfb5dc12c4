"""What regressors with few labels see of an architecture: blocks of columns, a row each, the same for twins.

Structure says most where a space is small: typed edges, and the operation sequences of the paths from source to sink.
Where architectures are many, a few summaries generalise better: how often an operation is there and what it joins,
decisions that are numbers as numbers, and the logarithms of exact costs. Which blocks help where is measured in
docs/results/large_spaces.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.graphs import Padded
from crlso.spaces import SearchSpace

_MOST_PATHS = 1000  # columns; of more sequences the most frequent are kept
MOST_PATHS_A_GRAPH = 256  # paths; in graphs with more of them, as in long chains, they say nothing that edges do not


def edge_features(graphs: Sequence[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Node and edge types as indicators; graphs smaller than the schema's have type 0 in what they lack."""
    nodes, edges = _padded(graphs, schema)
    blocks = []
    for types, made in (
        (nodes, np.eye(len(schema.node_types), dtype=bool)),
        (edges[:, *np.triu_indices(schema.num_nodes, 1)], type_parts(schema)),
    ):
        flat = made[types[:, (types != types[0]).any(axis=0)]].reshape(len(types), -1)
        blocks.append(flat[:, flat.any(axis=0)])
    return np.hstack(blocks, dtype=np.float64)


def type_parts(schema: Schema) -> Bool[np.ndarray, "E P"]:
    """Which plain edge types each edge type is made of: itself, or those that it stands for."""
    plain = [name for name in schema.edge_types if name not in schema.parts]
    return np.array([[part in schema.parts.get(name, {name}) for part in plain] for name in schema.edge_types])


def path_features(graphs: Sequence[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Which operation sequences lead from a source to a sink; no column where paths are too many."""
    if max(count_paths(graph, schema) for graph in graphs) > MOST_PATHS_A_GRAPH:
        return np.zeros((len(graphs), 0))
    sequences = [operation_paths(graph, schema) for graph in graphs]
    found = Counter(path for paths in sequences for path in paths)
    kept = sorted(sorted(found, key=lambda path: (-found[path], path))[:_MOST_PATHS])
    columns = {path: column for column, path in enumerate(kept)}
    present = np.zeros((len(graphs), len(columns)))
    for row, paths in zip(present, sequences, strict=True):
        row[[columns[path] for path in paths if path in columns]] = 1.0
    return present


def operation_features(graphs: Sequence[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """Counts of operations, standardised."""
    return _standardised(operation_counts(graphs, schema))


def operation_counts(graphs: Sequence[Graph], schema: Schema) -> Float[np.ndarray, "K F"]:
    """How many live operations there are by their type and the sink they lead to, or the source they read."""
    nodes, edges = _padded(graphs, schema)
    silent = [0, *(schema.edge_types.index(name) for name in schema.zero_edges)]
    joined = ~np.isin(edges, silent)
    plain = type_parts(schema).T[1:]
    sources, sinks = (_codes(schema, names) for names in (schema.sources, schema.sinks))
    fed = _reached(np.isin(nodes, sources), joined)
    columns = []
    for sink in sinks:
        wanted = _reached((nodes == sink)[:, ::-1], joined[:, ::-1, ::-1].swapaxes(1, 2))[:, ::-1]
        alive = joined & fed[:, :, None] & wanted[:, None, :]
        columns += [(made[edges] & alive).sum(axis=(1, 2)) for made in plain]
        columns += [((nodes == kind) & fed & wanted).sum(axis=1) for kind in range(len(schema.node_types))]
    for source in sources:
        read = edges * (nodes == source)[:, :, None]
        columns += [made[read].sum(axis=(1, 2)) for made in plain]
    return np.stack(columns, axis=1).astype(np.float64)


def decision_features(architectures: Sequence[Architecture], space: SearchSpace) -> Float[np.ndarray, "K F"]:
    """The decisions whose options are numbers, standardised."""
    return _standardised(decision_numbers(architectures, space))


def decision_numbers(architectures: Sequence[Architecture], space: SearchSpace) -> Float[np.ndarray, "K F"]:
    """The decisions whose options are numbers, as these numbers; no column where there are none."""
    choices = np.array([space.choices(arch) for arch in architectures])
    values = [_option_numbers(names) for names in space.options]
    columns = [np.array(numbers)[choices[:, n]] for n, numbers in enumerate(values) if numbers is not None]
    return np.stack(columns, axis=1) if columns else np.zeros((len(architectures), 0))


def cost_features(costs: Float[np.ndarray, "K C"]) -> Float[np.ndarray, "K F"]:
    """Logarithms of positive costs, standardised."""
    return _standardised(np.log(costs))


def _padded(graphs: Sequence[Graph], schema: Schema) -> tuple[Int[np.ndarray, "K N"], Int[np.ndarray, "K N N"]]:
    padded = Padded.of(graphs, schema)
    return np.maximum(padded.node_types.numpy(), 0), padded.edge_types.numpy()


def _codes(schema: Schema, names: frozenset[str]) -> list[int]:
    return [code for code, name in enumerate(schema.node_types) if name in names]


def _reached(start: Bool[np.ndarray, "K N"], joined: Bool[np.ndarray, "K N N"]) -> Bool[np.ndarray, "K N"]:
    """Nodes that some starting node leads to; nodes are in topological order."""
    reached = start.copy()
    for node in range(start.shape[1]):
        reached[:, node] |= (reached[:, :node] & joined[:, :node, node]).any(axis=1)
    return reached


def _standardised(columns: Float[np.ndarray, "K F"]) -> Float[np.ndarray, "K _"]:
    """Zero mean and unit variance; columns that are constant are left out."""
    varying: Float[np.ndarray, "K _"] = columns[:, np.ptp(columns, axis=0) > 0]
    varying -= varying.mean(axis=0)
    varying /= varying.std(axis=0)
    return varying


def _option_numbers(names: Sequence[str]) -> list[float] | None:
    """What options such as k3, k5 count, None where they are no numbers of one thing."""
    found = [re.fullmatch(r"(\D*)(\d+(?:\.\d+)?)", name) for name in names]
    matches = [match for match in found if match is not None]
    if len(matches) < len(names) or len({match[1] for match in matches}) > 1:
        return None
    return [float(match[2]) for match in matches]


def count_paths(graph: Graph, schema: Schema) -> int:
    """How many ways lead from a source to a sink."""
    counts: list[int] = []
    for node, kind in enumerate(graph.node_types.tolist()):
        arriving = sum(counts[source] for source in range(node) if graph.edge_types[source, node])
        counts.append(arriving + (schema.node_types[kind] in schema.sources))
    return sum(
        n for n, kind in zip(counts, graph.node_types.tolist(), strict=True) if schema.node_types[kind] in schema.sinks
    )


def operation_paths(graph: Graph, schema: Schema) -> set[tuple[str, ...]]:
    """The operation sequences of all ways from a source to a sink, what changes nothing left out."""
    reached: list[set[tuple[str, ...]]] = []
    ends: set[tuple[str, ...]] = set()
    rows = graph.edge_types.T.tolist()
    for node, kind in enumerate(schema.node_types[code] for code in graph.node_types.tolist()):
        start = (kind,) if len(schema.sources) > 1 else ()
        paths: set[tuple[str, ...]] = {start} if kind in schema.sources else set()
        for source, code in enumerate(rows[node][:node]):
            edge = schema.edge_types[code]
            if code and edge not in schema.zero_edges:
                step: tuple[str, ...] = () if edge in schema.identity_edges else (edge,)
                paths |= {path + step for path in reached[source]}
        if kind not in schema.identity_nodes:
            paths = {(*path, kind) for path in paths}
        reached.append(paths)
        if kind in schema.sinks:
            ends |= paths
    return ends
