"""Architecture graphs as tensors: a shared forest of expressions, or padded batches of the graphs as they are.

The value of a node is the sum of what its incoming edges bring, sent through the node's own operation. Absent edges
and zero edges bring nothing, identity edges bring the terms of their source as they are, any other edge sends its
source through its operation. So a graph's result is an expression, a sum of terms (operation, expression), and
`Forest.of` writes many graphs as one DAG in which every distinct expression is a single node. Isomorphic graphs end
in the same root: they cannot but have the same latent. Common sub-expressions are computed once: the 15,625 cells of
NAS-Bench-201 have 62,500 nodes, their forest has 4,930. An edge type that stands for several operations is one
operation here; where a schema has such `parts`, twins meet only after `SearchSpace.canonical` has been taken.

`Padded` keeps the nodes in their places. Spaces too large to enumerate share few expressions, and a decoder that has to
number the nodes learns faster from numbered ones; twins are the same to it once `SearchSpace.canonical` has been taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from crlso.architecture import Graph, Schema

ABSENT = -1
"""Node type of the places that a padded graph leaves empty."""

PASS = 0
"""Operation of a term that brings its source unchanged: the code of "none", which no term has."""


@dataclass(frozen=True)
class Layer:
    """All terms of the expressions of one level, sorted by operation.

    Attributes:
        edge_index: (source, target) of each term as torch_geometric writes it; a term that a sum has twice is
            two edges.
        counts: how many terms each operation has, on the host so that splitting costs no synchronisation.
    """

    edge_index: Int[Tensor, "2 W"]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Forest:
    """Expressions of many graphs, shared, in topological order.

    Operations are numbered through: edge types first, then node types, see `operations`.

    Attributes:
        sources: node type of an expression that is an input of the graphs, -1 for a sum.
        layers: the terms by the level of their target, lowest first; a source's level is 0.
        roots: the expression that is the graph's result, one for each graph.
    """

    sources: Int[Tensor, "V"]
    layers: tuple[Layer, ...]
    roots: Int[Tensor, "B"]

    @classmethod
    def of(cls, graphs: Iterable[Graph], schema: Schema) -> Forest:
        """Collate graphs once; `subset` then serves mini-batches without touching Python objects."""
        return _Builder(schema).build(graphs)

    def __len__(self) -> int:
        """How many graphs end in this forest."""
        return len(self.roots)

    def to(self, device: torch.device | str) -> Forest:
        """The same forest on another device."""
        layers = tuple(Layer(layer.edge_index.to(device), layer.counts) for layer in self.layers)
        return Forest(self.sources.to(device), layers, self.roots.to(device))

    def subset(self, graphs: Int[Tensor, "K"]) -> Forest:
        """The forest of some of the graphs, in the order given; on the host, before it is sent to a device."""
        roots = self.roots[graphs]
        needed = torch.zeros(len(self.sources), dtype=torch.bool)
        needed[roots] = True
        kept = []
        for layer in reversed(self.layers):
            source, target = layer.edge_index
            mask = needed[target]
            needed[source[mask]] = True
            if mask.any():
                kept.append((layer, mask))
        number = needed.cumsum(0) - 1
        layers = tuple(_restrict(layer, mask, number) for layer, mask in reversed(kept))
        return Forest(self.sources[needed], layers, number[roots])


@dataclass(frozen=True)
class Padded:
    """Graphs of different sizes as tensors of one shape, of short integers: there may be 10^5 graphs.

    Attributes:
        node_types: as the schema numbers them, `ABSENT` beyond the last node of a smaller graph.
        edge_types: 0 where there is no edge.
    """

    node_types: Int[Tensor, "B N"]
    edge_types: Int[Tensor, "B N N"]

    @classmethod
    def of(cls, graphs: Iterable[Graph], schema: Schema) -> Padded:
        """Pad graphs to the most nodes that the schema allows."""
        listed = list(graphs)
        nodes = np.full((len(listed), schema.num_nodes), ABSENT, dtype=np.int16)
        edges = np.zeros((len(listed), schema.num_nodes, schema.num_nodes), dtype=np.int16)
        for row, graph in enumerate(listed):
            nodes[row, : graph.num_nodes] = graph.node_types
            edges[row, : graph.num_nodes, : graph.num_nodes] = graph.edge_types
        return cls(torch.from_numpy(nodes), torch.from_numpy(edges))

    def __len__(self) -> int:
        """How many graphs there are."""
        return len(self.node_types)

    def to(self, device: torch.device | str) -> Padded:
        """The same graphs on another device."""
        return Padded(self.node_types.to(device), self.edge_types.to(device))

    def subset(self, graphs: Int[Tensor, "K"]) -> Padded:
        """Some of the graphs, in the order given."""
        return Padded(self.node_types[graphs], self.edge_types[graphs])


Collated: TypeAlias = Forest | Padded
"""Graphs as an encoder reads them."""


def operations(schema: Schema) -> tuple[int, ...]:
    """Numbers of the operations that a forest of this schema can hold and that change what they are given."""
    silent = schema.identity_edges | schema.zero_edges
    edges = [n for n, name in enumerate(schema.edge_types) if n and name not in silent]
    nodes = [n for n, name in enumerate(schema.node_types) if name not in schema.identity_nodes]
    return (*edges, *(len(schema.edge_types) + n for n in nodes))


def _restrict(layer: Layer, mask: Tensor, number: Tensor) -> Layer:
    """The layer's terms that a mask keeps, between renumbered expressions."""
    counts = (int(part.sum()) for part in mask.split(layer.counts))
    return Layer(number[layer.edge_index[:, mask]], tuple(counts))


Term = tuple[int, int]
"""(operation, expression that it is applied to)"""


class _Builder:
    """Interns expressions: each distinct sum of terms becomes one node of the forest."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.num_edge_types = len(schema.edge_types)
        self.identity_edges = {schema.edge_types.index(name) for name in schema.identity_edges}
        self.zero_edges = {0, *(schema.edge_types.index(name) for name in schema.zero_edges)}
        self.identity_nodes = {schema.node_types.index(name) for name in schema.identity_nodes}
        self.source_nodes = {schema.node_types.index(name) for name in schema.sources}
        self.sink_nodes = {schema.node_types.index(name) for name in schema.sinks}
        self.numbers: dict[tuple[int, tuple[Term, ...]], int] = {}
        self.levels: list[int] = []

    def build(self, graphs: Iterable[Graph]) -> Forest:
        roots = torch.tensor([self._root(graph) for graph in graphs])
        terms = [
            (self.levels[target], operation, source, target)
            for (_, value), target in self.numbers.items()
            for operation, source in value
        ]
        rows = torch.tensor(sorted(terms), dtype=torch.long).reshape(-1, 4)
        num_operations = self.num_edge_types + len(self.schema.node_types)
        layers = []
        for level in range(1, max(self.levels, default=0) + 1):
            here = rows[rows[:, 0] == level]
            counts = torch.bincount(here[:, 1], minlength=num_operations)
            layers.append(Layer(here[:, 2:].T.contiguous(), tuple(counts.tolist())))
        return Forest(torch.tensor([kind for kind, _ in self.numbers]), tuple(layers), roots)

    def _root(self, graph: Graph) -> int:
        values: list[list[Term]] = []
        result: list[Term] = []
        for node, kind in enumerate(graph.node_types.tolist()):
            value: list[Term] = [(PASS, self._intern(kind, ()))] if kind in self.source_nodes else []
            for source, edge in enumerate(graph.edge_types[:node, node].tolist()):
                if edge in self.identity_edges:
                    value += values[source]
                elif edge not in self.zero_edges and values[source]:
                    value.append((edge, self._number(values[source])))
            if value and kind not in self.identity_nodes:
                value = [(self.num_edge_types + kind, self._number(value))]
            values.append(value)
            if kind in self.sink_nodes:
                result += value
        return self._number(result)

    def _number(self, value: list[Term]) -> int:
        if len(value) == 1 and value[0][0] == PASS:
            return value[0][1]
        return self._intern(-1, tuple(sorted(value)))

    def _intern(self, source: int, value: tuple[Term, ...]) -> int:
        if (source, value) not in self.numbers:
            self.numbers[source, value] = len(self.numbers)
            self.levels.append(max((self.levels[inner] + 1 for _, inner in value), default=0))
        return self.numbers[source, value]
