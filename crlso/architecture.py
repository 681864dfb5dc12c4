"""One architecture: an immutable value made of a space's name, its native notation and its graph.

Every space is written in one form, a directed acyclic graph with typed nodes and typed edges. NAS-Bench-201
puts operations on edges, NAS-Bench-101 on nodes; both fit. Two architectures are equal when they belong to the
same isomorphism class of the same space, that is, when their space says that they compute the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class Graph:
    """A typed DAG whose nodes are in topological order.

    Attributes:
        node_types: index into `Schema.node_types`, one for each node.
        edge_types: index into `Schema.edge_types`; strictly upper triangular, entry [i, j] is the edge i → j
            and 0 means that there is none.
    """

    node_types: Int[np.ndarray, "N"]
    edge_types: Int[np.ndarray, "N N"]

    @property
    def num_nodes(self) -> int:
        """How many nodes the graph has."""
        return len(self.node_types)


@dataclass(frozen=True)
class Schema:
    """The vocabulary of a space's graphs, and what of it the learned encoder may rely on.

    Attributes:
        num_nodes: the most nodes a graph of the space has.
        node_types: names of the node types.
        edge_types: names of the edge types; the first one means "no edge".
        identity_nodes: node types that pass the sum of their inputs on unchanged.
        identity_edges: edge types that pass their source on unchanged.
        sources: node types that feed the graph with data.
        sinks: node types whose values are the graph's result.
        zero_edges: edge types that are there and yet bring nothing; other than the absent edge, they have a place.
        parts: edge types that stand for others side by side, and for which: features of an architecture see these.
    """

    num_nodes: int
    node_types: tuple[str, ...]
    edge_types: tuple[str, ...]
    identity_nodes: frozenset[str]
    identity_edges: frozenset[str]
    sources: frozenset[str]
    sinks: frozenset[str]
    zero_edges: frozenset[str] = frozenset()
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Architecture:
    """An element of a search space.

    Attributes:
        space: name of the search space.
        text: the space's native notation, as `SearchSpace.parse` reads it.
        graph: the same as a typed DAG.
        key: name of the isomorphism class, as the space computes it.
    """

    space: str
    text: str
    graph: Graph
    key: str

    def __eq__(self, other: object) -> bool:
        """Whether both belong to the same isomorphism class of the same space."""
        return isinstance(other, Architecture) and (self.space, self.key) == (other.space, other.key)

    def __hash__(self) -> int:
        """Agrees with equality: twins share it."""
        return hash((self.space, self.key))

    def __str__(self) -> str:
        """The native notation."""
        return self.text
