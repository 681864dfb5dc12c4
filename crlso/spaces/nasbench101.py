"""NAS-Bench-101 [Ying2019]_: cells of at most seven vertices and nine edges, an operation on each interior vertex.

A cell is a DAG from `input` (the first vertex) to `output` (the last). An interior vertex applies its operation to the
sum of what arrives; what arrives from `input` has been projected by a 1×1 convolution of its own. The output
concatenates the interior vertices that lead to it and adds the projected input. Vertices on no path from input to
output are dead. Since every vertex has weights of its own and concatenation keeps its parts apart, two cells are the
same exactly when their live parts are isomorphic, operations included: 423,624 classes, 2,532 of them with at most
five vertices. Twins may cost a few parameters more or less, because the output's channels are split by the order of
the vertices. `size` counts what the notation can write: pairs of matrix and operations whose output is reached.

A graph has seven nodes: the input, five interior vertices of which the last ones may be `absent`, and the output. Its
edges pass values on unchanged, so that an interior vertex is its operation on a sum, as in `crlso.graphs`. Where
several live vertices have equal values, apply the same operation to the same vertices, that is, expressions alone
cannot tell one of them with two successors from two with one each. Their edges therefore say which one they leave:
`edge` is the first, `edge_2` to `edge_4` are further ones, in the order of the canonical cell. Thus expressions are
equal exactly for isomorphic cells; without these marks, 423,624 classes have 377,019.

.. [Ying2019] C. Ying et al. NAS-Bench-101: Towards Reproducible Neural Architecture Search. ICML 2019.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, pairwise, product
from math import comb
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.base import SearchSpace
from crlso.spaces.drawing import draw_graph
from crlso.spaces.isomorphism import Matrix, canonical_order, rearranged, twin_ranks

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""What an interior vertex may do."""

MOST_VERTICES, MOST_EDGES = 7, 9
"""Limits of the benchmark, input and output included."""

Operations: TypeAlias = tuple[str, ...]
"""`input`, what the interior vertices do, `output`."""

Cell: TypeAlias = tuple[Matrix, Operations]
"""A cell as its text gives it."""

_INTERIOR = MOST_VERTICES - 2
_NODE_TYPES = ("absent", "input", *OPERATIONS, "output")
_EDGE_TYPES = ("none", "edge", "edge_2", "edge_3", "edge_4")  # five equal live vertices would need ten edges
_ABSENT, _INPUT, _FIRST, _OUTPUT = 0, 1, 2, len(_NODE_TYPES) - 1
_PAIRS = tuple(combinations(range(MOST_VERTICES), 2))
_SOURCES, _TARGETS = (np.array(ends) for ends in zip(*_PAIRS, strict=True))
_ROUTES = tuple(  # every number of interior vertices, and every path through some of them
    (n, (0, *route, MOST_VERTICES - 1))
    for n in range(_INTERIOR + 1)
    for length in range(n + 1)
    for route in combinations(range(1, n + 1), length)
)
_INNER = np.array([n for n, _ in _ROUTES])
_PATHS = np.array([[pair in pairwise(route) for pair in _PAIRS] for _, route in _ROUTES])
_USABLE = np.array([[i <= n and (j <= n or j == MOST_VERTICES - 1) for i, j in _PAIRS] for n, _ in _ROUTES])
_HUGE = 1e100  # stands for an infinite logit: sums of it stay finite


def _count_matrices(vertices: int) -> int:
    """How many matrices of at most nine edges lead from input to output, counted vertex by vertex."""
    ways = Counter({(1, 0): 1})  # by the number of vertices that data reaches, and the number of edges
    for vertex in range(1, vertices):
        longer: Counter[tuple[int, int]] = Counter()
        for (reached, edges), number in ways.items():
            for live, dead in product(range(reached + 1), range(vertex - reached + 1)):
                if edges + live + dead <= MOST_EDGES and (live or vertex < vertices - 1):
                    choices = comb(reached, live) * comb(vertex - reached, dead)
                    longer[reached + (live > 0), edges + live + dead] += number * choices
        ways = longer
    return ways.total()


class NasBench101(SearchSpace):
    """The cells of NAS-Bench-101, written `{"matrix":[[0,1],[0,0]],"ops":["input","output"]}`."""

    name = "nasbench101"
    size: int = sum(_count_matrices(2 + n) * len(OPERATIONS) ** n for n in range(_INTERIOR + 1))
    enumerable = False
    options = (("none", "edge"),) * len(_PAIRS) + (("absent", *OPERATIONS),) * _INTERIOR
    schema = Schema(
        num_nodes=MOST_VERTICES,
        node_types=_NODE_TYPES,
        edge_types=_EDGE_TYPES,
        identity_nodes=frozenset({"absent", "input", "output"}),
        identity_edges=frozenset({"edge"}),
        sources=frozenset({"input"}),
        sinks=frozenset({"output"}),
    )

    def parse(self, text: str) -> Architecture:
        """Read JSON with the keys `matrix`, rows of zeros and ones, and `ops`, a name for each vertex."""
        try:
            matrix, ops = _read(json.loads(text))
        except (ValueError, RecursionError) as error:
            shown = text if len(text) < 400 else f"{text[:400]}…"
            raise ArchitectureError(f"not a NAS-Bench-101 cell: {shown!r} ({error}); expected {_pattern()}") from error
        return _architecture(matrix, ops)

    def from_graph(self, graph: Graph) -> Architecture:
        """Read the vertices that are not absent, and which of them have an edge."""
        there = np.flatnonzero(graph.node_types)
        matrix = (graph.edge_types[np.ix_(there, there)] > 0).astype(int).tolist()
        try:
            return _architecture(*_read({"matrix": matrix, "ops": [_NODE_TYPES[n] for n in graph.node_types[there]]}))
        except ValueError as error:
            raise ArchitectureError(f"not a graph of a NAS-Bench-101 cell: {error}") from error

    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """Whether each of 21 edges is there, row by row, then the operations of the five interior vertices."""
        edges, nodes = arch.graph.edge_types[_SOURCES, _TARGETS] > 0, arch.graph.node_types[1:-1]
        return *edges.astype(int).tolist(), *np.maximum(nodes - 1, _ABSENT).tolist()

    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """Only the last interior vertices may be absent; then have no edge, and the limits of the notation hold."""
        codes = np.array(choices)
        if len(codes) != len(self.options) or not all(
            0 <= code < len(names) for code, names in zip(choices, self.options, strict=True)
        ):
            raise ArchitectureError(f"not a NAS-Bench-101 cell: {choices}; expected {len(self.options)} within options")
        present, kinds = codes[: len(_PAIRS)], codes[len(_PAIRS) :]
        edges = np.zeros((MOST_VERTICES, MOST_VERTICES), dtype=np.int64)
        edges[_SOURCES, _TARGETS] = present
        nodes = np.array([_INPUT, *np.where(kinds > 0, kinds + _FIRST - 1, _ABSENT), _OUTPUT])
        arch = self.from_graph(Graph(nodes, edges))
        if self.choices(arch) != tuple(choices):
            raise ArchitectureError(
                f"not a NAS-Bench-101 cell: {choices}; only the last vertices may be absent, and have no edges then"
            )
        return arch

    def masked(
        self, node_logits: Float[np.ndarray, "B N T"], edge_logits: Float[np.ndarray, "B N N E"]
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """The most likely vertices and edges that make a cell; `from_graph` finds out which edges leave twins.

        Of all numbers of vertices and paths from input to output the best is taken, together with the most likely
        edges beside the path, as long as they are more likely than not and at most nine.
        """
        nodes, edges = (np.clip(a.astype(np.float64), -_HUGE, _HUGE) for a in (node_logits, edge_logits))
        kinds = nodes[:, 1:-1, _FIRST:_OUTPUT]
        weights = edges[:, _SOURCES, _TARGETS, 1:].max(axis=-1) - edges[:, _SOURCES, _TARGETS, 0]
        there = np.cumsum(kinds.max(axis=-1) - nodes[:, 1:-1, _ABSENT], axis=1)
        gains = np.pad(there, ((0, 0), (1, 0)))[:, _INNER]
        order = np.argsort(-weights, axis=1, kind="stable")
        sorted_gains = np.maximum(np.take_along_axis(weights, order, axis=1), 0.0)
        beside = (_USABLE & ~_PATHS)[:, order]  # [paths, B, pairs], the likeliest first
        beside &= beside.cumsum(axis=-1, dtype=np.int8) <= MOST_EDGES - _PATHS.sum(axis=1)[:, None, None]
        best = (gains + weights @ _PATHS.T + np.einsum("pbe,be->bp", beside, sorted_gains)).argmax(axis=1)
        batch = np.arange(len(best))
        present = _PATHS[best]
        present[batch[:, None], order] |= beside[best, batch] & (sorted_gains > 0)
        edge_types = np.zeros((len(best), MOST_VERTICES, MOST_VERTICES), dtype=np.int64)
        edge_types[:, _SOURCES, _TARGETS] = present
        interior = np.where(np.arange(_INTERIOR) < _INNER[best, None], _FIRST + kinds.argmax(axis=-1), 0)
        return np.pad(interior, ((0, 0), (1, 1)), constant_values=((0, 0), (_INPUT, _OUTPUT))), edge_types

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct texts, by rejection from all matrices and operations on two to seven vertices."""
        if n > self.size:
            raise ProblemError(f"asked for {n} distinct cells; {self.name} has {self.size}")
        found: dict[str, Architecture] = {}
        while len(found) < n:
            for matrix, ops in _random_cells(4 * (n - len(found)), rng):
                arch = _architecture(matrix, ops)
                found[arch.text] = arch
                if len(found) == n:
                    break
        return list(found.values())

    def enumerate(self) -> Iterator[Architecture]:
        """The cells are too many to walk through."""
        raise ProblemError(f"{self.name} has {self.size} cells, too many to enumerate: sample instead")

    def canonical(self, arch: Architecture) -> Architecture:
        """The live part of the cell, its vertices by depth, then by operation and place."""
        return self.parse(arch.key)

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """Cells that differ in one edge, in one operation, or by a vertex with one edge in and one out."""
        matrix, ops = cell_of(arch)
        cells = [*_other_edges(matrix, ops), *_other_operations(matrix, ops), *_fewer(matrix, ops), *_more(matrix, ops)]
        return [_architecture(*cell) for cell in dict.fromkeys(cells) if _fits(cell[0])]

    def draw(self, arch: Architecture) -> str:
        """Vertices in a row, named by their operations."""
        there = np.flatnonzero(arch.graph.node_types)
        edges = np.minimum(arch.graph.edge_types[np.ix_(there, there)], 1)
        return draw_graph(Graph(arch.graph.node_types[there], edges), self.schema, title=arch.text)


def cell_of(arch: Architecture) -> Cell:
    """The matrix and the operations as the text gives them."""
    document = json.loads(arch.text)
    return tuple(map(tuple, document["matrix"])), tuple(document["ops"])


def live_vertices(matrix: Matrix) -> list[int]:
    """Vertices on a path from the first to the last one, in order; none if there is no such path."""
    last = len(matrix) - 1
    reached, needed = {0}, {last}
    for vertex in range(1, last + 1):
        if any(matrix[source][vertex] for source in reached):
            reached.add(vertex)
    for vertex in reversed(range(last)):
        if any(matrix[vertex][target] for target in needed):
            needed.add(vertex)
    return sorted(reached & needed)


def _read(document: object) -> Cell:
    """Check what JSON or a graph says of a cell."""
    if not isinstance(document, dict) or set(document) != {"matrix", "ops"}:
        raise ValueError("there must be matrix and ops, and nothing else")
    rows, ops = document["matrix"], document["ops"]
    if not isinstance(ops, list) or not 2 <= len(ops) <= MOST_VERTICES:
        raise ValueError(f"ops must list 2 to {MOST_VERTICES} vertices")
    if (ops[0], ops[-1]) != ("input", "output") or not all(op in OPERATIONS for op in ops[1:-1]):
        raise ValueError(f"ops must go from input to output by {', '.join(OPERATIONS)}")
    if not isinstance(rows, list) or [isinstance(row, list) and len(row) for row in rows] != [len(ops)] * len(ops):
        raise ValueError("the matrix must have a row and a column for each vertex")
    if not all(type(n) is int and 0 <= n <= int(i < j) for i, row in enumerate(rows) for j, n in enumerate(row)):
        raise ValueError("the matrix must have zeros and ones above its diagonal and zeros elsewhere")
    matrix = tuple(map(tuple, rows))
    if not _fits(matrix):
        raise ValueError(f"at most {MOST_EDGES} edges must lead from input to output")
    return matrix, tuple(ops)


def _fits(matrix: Matrix) -> bool:
    """Whether there are few enough edges and they lead from input to output."""
    return sum(map(sum, matrix)) <= MOST_EDGES and bool(live_vertices(matrix))


@lru_cache(maxsize=2**14)
def _architecture(matrix: Matrix, ops: Operations) -> Architecture:
    live = live_vertices(matrix)
    order = [live[n] for n in canonical_order(rearranged(matrix, live), [ops[vertex] for vertex in live])]
    core, core_ops = rearranged(matrix, order), tuple(ops[vertex] for vertex in order)
    ranks = dict(zip(order, twin_ranks(core, core_ops), strict=True))
    return Architecture(NasBench101.name, _text(matrix, ops), _graph(matrix, ops, ranks), _text(core, core_ops))


def _text(matrix: Matrix, ops: Operations) -> str:
    return json.dumps({"matrix": matrix, "ops": ops}, separators=(",", ":"))


def _graph(matrix: Matrix, ops: Operations, ranks: Mapping[int, int]) -> Graph:
    places = [*range(len(ops) - 1), MOST_VERTICES - 1]
    nodes = np.zeros(MOST_VERTICES, dtype=np.int64)
    nodes[places] = [_NODE_TYPES.index(op) for op in ops]
    edges = np.zeros((MOST_VERTICES, MOST_VERTICES), dtype=np.int64)
    marks = [1 + ranks.get(vertex, 0) for vertex in range(len(ops))]
    edges[np.ix_(places, places)] = np.array(matrix) * np.array(marks)[:, None]
    for array in (nodes, edges):
        array.setflags(write=False)
    return Graph(nodes, edges)


def _random_cells(draws: int, rng: np.random.Generator) -> Iterator[Cell]:
    """Those draws, uniform over all matrices and operations of two to seven vertices, that are cells."""
    inner = np.arange(_INTERIOR + 1)
    room = np.array([_USABLE[n == _INNER][0] for n in inner])
    free = 2.0 ** room.sum(axis=1) * len(OPERATIONS) ** inner
    sizes = rng.choice(inner, size=draws, p=free / free.sum())
    present = rng.integers(0, 2, size=(draws, len(_PAIRS))) * room[sizes]
    kinds = rng.integers(len(OPERATIONS), size=(draws, _INTERIOR))
    rows = np.zeros((draws, MOST_VERTICES, MOST_VERTICES), dtype=np.int64)
    rows[:, _SOURCES, _TARGETS] = present
    for draw in np.flatnonzero(present.sum(axis=1) <= MOST_EDGES):
        there = [*range(sizes[draw] + 1), MOST_VERTICES - 1]
        matrix = rearranged(rows[draw].tolist(), there)
        if _fits(matrix):
            yield matrix, ("input", *(OPERATIONS[n] for n in kinds[draw, : sizes[draw]]), "output")


def _other_edges(matrix: Matrix, ops: Operations) -> Iterator[Cell]:
    for source, target in combinations(range(len(ops)), 2):
        rows = np.array(matrix)
        rows[source, target] ^= 1
        yield tuple(map(tuple, rows.tolist())), ops


def _other_operations(matrix: Matrix, ops: Operations) -> Iterator[Cell]:
    for vertex, operation in product(range(1, len(ops) - 1), OPERATIONS):
        if operation != ops[vertex]:
            yield matrix, (*ops[:vertex], operation, *ops[vertex + 1 :])


def _fewer(matrix: Matrix, ops: Operations) -> Iterator[Cell]:
    """Without a vertex that has one edge in and one out."""
    for vertex in range(1, len(ops) - 1):
        if sum(matrix[vertex]) == sum(row[vertex] for row in matrix) == 1:
            rest = [other for other in range(len(ops)) if other != vertex]
            yield rearranged(matrix, rest), tuple(ops[other] for other in rest)


def _more(matrix: Matrix, ops: Operations) -> Iterator[Cell]:
    """With a further vertex that has one edge in and one out, at any place between their ends."""
    size = len(ops) if len(ops) < MOST_VERTICES else 0
    for source, vertex, target in combinations(range(size + 1), 3):
        rows = np.insert(np.insert(matrix, vertex, 0, axis=0), vertex, 0, axis=1)
        rows[source, vertex] = rows[vertex, target] = 1
        for operation in OPERATIONS:
            yield tuple(map(tuple, rows.tolist())), (*ops[:vertex], operation, *ops[vertex:])


def _pattern() -> str:
    return '{"matrix":[[0,1,…],…],"ops":["input",…,"output"]}'
