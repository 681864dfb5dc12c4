"""Typed DAGs as a search space: nodes and edges, each with the types that it may have.

Every node has one type of its list, every edge one of its own or, where that list has `none`, may be absent; a node may
limit how many edges arrive. All combinations within these limits are architectures, written as JSON with the nodes'
types and the edges that are there,

    {"nodes":["input","sum","output"],"edges":[[0,1,"conv"],[1,2,"skip"]]}.

Architectures are the same where `crlso.spaces.expressions` says so. In a space that can be listed, a class is
represented by its member with the fewest operations; in a larger one an architecture is represented by itself without
its dead parts, so that twins that differ in more than these are equal without sharing a representative.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product
from math import prod
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.base import SearchSpace
from crlso.spaces.columns import Column
from crlso.spaces.drawing import draw_graph, reach
from crlso.spaces.expressions import expression
from crlso.spaces.sampling import LISTABLE, check_choices, distinct_rows

NONE = "none"
"""The type of an edge that is absent."""

Codes: TypeAlias = tuple[int, ...]
"""Types, by their numbers in the schema: of the nodes, then of the edges by target and source."""

_HUGE = 1e100  # stands for an infinite logit: differences of it are numbers


@dataclass(frozen=True)
class Node:
    """A node's place in the graph.

    Attributes:
        types: those it may have.
        most_inputs: how many edges may arrive, None for no limit.
    """

    types: tuple[str, ...]
    most_inputs: int | None = None


class TypedDag(SearchSpace):
    """All graphs of given nodes and edges, written `{"nodes":["type",…],"edges":[[i,j,"type"],…]}`."""

    def __init__(
        self,
        name: str,
        nodes: Sequence[Node],
        edges: Mapping[tuple[int, int], Sequence[str]],
        *,
        identity_nodes: frozenset[str],
        identity_edges: frozenset[str],
        sources: frozenset[str],
        sinks: frozenset[str],
    ) -> None:
        """Number the types and count the architectures.

        Args:
            name: of the space.
            nodes: in topological order.
            edges: allowed types by (source, target), `none` among them where the edge may be absent.
            identity_nodes: node types that pass the sum of their inputs on unchanged.
            identity_edges: edge types that pass their source on unchanged.
            sources: node types that feed the graph with data.
            sinks: node types whose values are the graph's result.
        """
        self.name = name
        self._pairs = tuple(sorted(edges, key=lambda pair: pair[::-1]))  # by target, as the columns are
        node_types = tuple(dict.fromkeys(kind for node in nodes for kind in node.types))
        edge_types = tuple(dict.fromkeys((NONE, *(kind for pair in self._pairs for kind in edges[pair]))))
        self.schema = Schema(len(nodes), node_types, edge_types, identity_nodes, identity_edges, sources, sinks)
        self._names = [node_types] * len(nodes) + [edge_types] * len(self._pairs)
        allowed = [node.types for node in nodes] + [edges[pair] for pair in self._pairs]
        self._slots = [
            tuple(sorted(map(names.index, kinds))) for names, kinds in zip(self._names, allowed, strict=True)
        ]
        self._free = [place for place, codes in enumerate(self._slots) if len(codes) > 1]
        self.options = tuple(tuple(self._names[place][code] for code in self._slots[place]) for place in self._free)
        arriving: list[list[Codes]] = [[] for _ in nodes]
        for (_, target), codes in zip(self._pairs, self._slots[len(nodes) :], strict=True):
            arriving[target].append(codes)
        self._columns = [Column.of(codes, node.most_inputs) for codes, node in zip(arriving, nodes, strict=True)]
        self.size = prod(map(len, self._slots[: len(nodes)])) * prod(column.size for column in self._columns)
        self.enumerable = self.one_representative = self.size <= LISTABLE

    def parse(self, text: str) -> Architecture:
        """Read JSON with the keys `nodes`, a type each, and `edges`, those that are there."""
        try:
            codes = self._read(json.loads(text))
        except (ValueError, RecursionError) as error:
            shown = text if len(text) < 400 else f"{text[:400]}…"
            raise ArchitectureError(
                f"not an architecture of {self.name}: {shown!r} ({error}); "
                'expected {"nodes":["type",…],"edges":[[i,j,"type"],…]}'
            ) from error
        return self._checked(codes)

    def from_graph(self, graph: Graph) -> Architecture:
        """The architecture of a graph that keeps the limits."""
        same = graph.num_nodes == self.schema.num_nodes
        codes = self._codes(graph) if same else ()
        if not same or np.count_nonzero(codes[graph.num_nodes :]) != np.count_nonzero(graph.edge_types):
            raise ArchitectureError(f"not a graph of {self.name}: it has other nodes, or edges where there are none")
        return self._checked(codes)

    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """Types of the nodes, then of the edges by target and source, of those that have a choice."""
        codes = self._codes(arch.graph)
        return tuple(self._slots[place].index(codes[place]) for place in self._free)

    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """Any types are an architecture as long as no node has too many edges arriving."""
        if fault := check_choices(choices, self.options):
            raise ArchitectureError(f"not an architecture of {self.name}: {fault}")
        return self._checked(self._chosen(choices))

    def masked(
        self, node_logits: Float[np.ndarray, "B N T"], edge_logits: Float[np.ndarray, "B N N E"]
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """The most likely type each; where too many edges arrive, those stay that gain most over no edge."""
        nodes = np.zeros(node_logits.shape[:2], dtype=np.int64)
        for node, codes in enumerate(self._slots[: self.schema.num_nodes]):
            nodes[:, node] = np.array(codes)[node_logits[:, node, codes].argmax(axis=1)]
        logits = np.clip(edge_logits.astype(np.float64), -_HUGE, _HUGE)
        edges, gains = np.zeros(logits.shape[:3], dtype=np.int64), np.zeros(logits.shape[:3])
        for (i, j), codes in zip(self._pairs, self._slots[self.schema.num_nodes :], strict=True):
            offers = logits[:, i, j, codes]
            edges[:, i, j] = np.array(codes)[offers.argmax(axis=1)]
            # what has to be there comes before all that may be absent
            gains[:, i, j] = np.inf if codes[0] else offers.max(axis=1) - offers[:, 0]
        for target, column in enumerate(self._columns):
            beyond = np.argsort(-gains[:, :, target], axis=1, kind="stable")[:, column.limit :]
            np.put_along_axis(edges[:, :, target], beyond, 0, axis=1)
        return nodes, edges

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct architectures."""
        if n > self.size:
            raise ProblemError(f"asked for {n} distinct architectures; {self.name} has {self.size}")
        limits = [len(codes) for codes in self._slots[: self.schema.num_nodes]]

        def draw(rows: int) -> Int[np.ndarray, "rows D"]:
            nodes = rng.integers(limits, size=(rows, len(limits)))
            return np.hstack([nodes, *(column.draw(rows, rng) for column in self._columns)])

        return [self._placed(row) for row in distinct_rows(n, draw)]

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, the last edge's type changing fastest."""
        if not self.enumerable:
            raise ProblemError(f"{self.name} has {self.size} architectures, too many to enumerate: sample instead")
        nodes = [[(place,) for place in range(len(codes))] for codes in self._slots[: self.schema.num_nodes]]
        parts = product(*nodes, *(list(column.all()) for column in self._columns))
        return (self._placed(tuple(chain(*row))) for row in parts)

    def canonical(self, arch: Architecture) -> Architecture:
        """The class's member with the fewest operations if the space can be listed, else without its dead parts."""
        return self._representatives[arch.key] if self.enumerable else self._architecture(self._pruned(arch.graph))

    @cached_property
    def _representatives(self) -> dict[str, Architecture]:
        best: dict[str, Architecture] = {}
        for arch in sorted(self.enumerate(), key=lambda arch: self._burden(self._codes(arch.graph))):
            best.setdefault(arch.key, arch)
        return best

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """All architectures that differ in one type."""
        codes = self._codes(arch.graph)
        others = (
            (*codes[:place], code, *codes[place + 1 :])
            for place in self._free
            for code in self._slots[place]
            if code != codes[place]
        )
        return [self._architecture(other) for other in others if not self._fault(other)]

    def draw(self, arch: Architecture) -> str:
        """Nodes in a row, edges as labelled arcs."""
        return draw_graph(arch.graph, self.schema, title=arch.text)

    def _codes(self, graph: Graph) -> Codes:
        """Types of the nodes and of the edges, fixed ones included."""
        return (*graph.node_types.tolist(), *(int(graph.edge_types[pair]) for pair in self._pairs))

    def _chosen(self, choices: Sequence[int]) -> Codes:
        codes = [slot[0] for slot in self._slots]
        for place, choice in zip(self._free, choices, strict=True):
            codes[place] = self._slots[place][choice]
        return tuple(codes)

    def _placed(self, positions: Sequence[int]) -> Architecture:
        return self._architecture(tuple(slot[n] for slot, n in zip(self._slots, positions, strict=True)))

    def _read(self, document: object) -> Codes:
        """The types that a JSON document names."""
        if not isinstance(document, dict) or set(document) != {"nodes", "edges"}:
            raise ValueError("there must be nodes and edges, and nothing else")
        nodes, edges = document["nodes"], document["edges"]
        if not isinstance(nodes, list) or len(nodes) != self.schema.num_nodes:
            raise ValueError(f"nodes must list {self.schema.num_nodes} types")
        there: dict[tuple[int, int], str] = {}
        for edge in edges if isinstance(edges, list) else [edges]:
            if not isinstance(edge, list) or list(map(type, edge)) != [int, int, str]:
                raise ValueError(f'{edge!r} is no edge: expected [i,j,"type"]')
            pair = edge[0], edge[1]
            if pair in there or pair not in self._pairs:
                most = "but one" if pair in there else "no"
                raise ValueError(f"there can be {most} edge from {pair[0]} to {pair[1]}")
            there[pair] = edge[2]
        kinds = [*nodes, *(there.get(pair, NONE) for pair in self._pairs)]
        for place, (kind, names) in enumerate(zip(kinds, self._names, strict=True)):
            if kind not in names:
                raise ValueError(self._misplaced(place, kind))
        return tuple(names.index(kind) for kind, names in zip(kinds, self._names, strict=True))

    def _misplaced(self, place: int, kind: object) -> str:
        """That a node or an edge cannot have a type, and which ones it can have."""
        allowed = ", ".join(self._names[place][code] for code in self._slots[place])
        if place < self.schema.num_nodes:
            return f"node {place} is {kind!r}, and not {allowed}"
        i, j = self._pairs[place - self.schema.num_nodes]
        return f"the edge from {i} to {j} is {kind!r}, and not {allowed}"

    def _fault(self, codes: Codes) -> str | None:
        """Why the types make no architecture."""
        for place, (code, slot) in enumerate(zip(codes, self._slots, strict=True)):
            if code not in slot:
                return self._misplaced(place, self._names[place][code])
        arriving = Counter(j for (_, j), code in zip(self._pairs, codes[self.schema.num_nodes :], strict=True) if code)
        for target, column in enumerate(self._columns):
            if arriving[target] > column.limit:
                return f"{arriving[target]} edges arrive at node {target}, which may have {column.limit}"
        return None

    def _checked(self, codes: Codes) -> Architecture:
        if fault := self._fault(codes):
            raise ArchitectureError(f"not an architecture of {self.name}: {fault}")
        return self._architecture(codes)

    def _architecture(self, codes: Codes) -> Architecture:
        n = self.schema.num_nodes
        nodes, edges = np.array(codes[:n]), np.zeros((n, n), dtype=np.int64)
        there = [(*pair, code) for pair, code in zip(self._pairs, codes[n:], strict=True) if code]
        for i, j, code in there:
            edges[i, j] = code
        for array in (nodes, edges):
            array.setflags(write=False)
        document = {
            "nodes": [self.schema.node_types[code] for code in codes[:n]],
            "edges": [[i, j, self.schema.edge_types[code]] for i, j, code in there],
        }
        text, graph = json.dumps(document, separators=(",", ":")), Graph(nodes, edges)
        return Architecture(self.name, text, graph, key=expression(graph, self.schema))

    def _burden(self, codes: Codes) -> tuple[int, int, Codes]:
        """Operations that compute, edges, the types: the order in which twins are preferred."""
        schema = self.schema
        idle = {NONE} | schema.identity_edges
        nodes = sum(schema.node_types[code] not in schema.identity_nodes for code in codes[: schema.num_nodes])
        edges = [schema.edge_types[code] for code in codes[schema.num_nodes :]]
        return nodes + sum(kind not in idle for kind in edges), sum(kind != NONE for kind in edges), codes

    def _pruned(self, graph: Graph) -> Codes:
        """The first type for all that lies on no path from a source to a sink, which no path starts or ends at then."""
        schema, codes = self.schema, self._codes(graph)
        from_source, to_sink = reach(graph, schema)
        ends = {n for n, name in enumerate(schema.node_types) if name in schema.sources | schema.sinks}
        nodes = [
            code if from_source[n] and to_sink[n] else next((c for c in slot if c not in ends), code)
            for n, (code, slot) in enumerate(zip(codes, self._slots, strict=False))
            if n < schema.num_nodes
        ]
        places = zip(self._pairs, codes[len(nodes) :], self._slots[len(nodes) :], strict=True)
        return *nodes, *(code if from_source[i] and to_sink[j] else slot[0] for (i, j), code, slot in places)
