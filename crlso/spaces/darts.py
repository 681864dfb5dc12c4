"""DARTS [Liu2019]_: a normal and a reduction cell, two operations with different inputs into each of four nodes.

A cell reads the outputs of the two cells before it, c_{k-2} as node 0 and c_{k-1} as node 1; a node is the sum of its
two operations on earlier nodes, and the cell's output concatenates nodes 2 to 5. In a reduction cell, operations on the
inputs have stride 2, so that `skip_connect` there is a factorised reduction and no identity. Genotypes have

    [8² Π_k C(k, 2)]² = [64⁴ · 1 · 3 · 6 · 10]² = 9.1 · 10^18,    k = 2 … 5 inputs to choose from,                (1)

values. They are read in the two forms in which implementations print them, a flat list of eight (operation, input) and
one list a node, and written in the flat one, the pairs of a node in the order of their inputs.

Two cells compute the same function when the values of their nodes agree as a multiset, each an expression in which
zeros are dropped and sums of sums are flattened, as in `crlso.graphs`: concatenation in another order is the same up
to the numbering of channels. Like those of NAS-Bench-201, expressions do not say which operations share their weights,
and an operation applied to zeros counts as zero although the shift of a batch normalisation may leave a constant.

.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, combinations
from math import comb, prod
from operator import itemgetter
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.base import SearchSpace
from crlso.spaces.drawing import draw_cells

OPERATIONS = (
    "none",
    "skip_connect",
    "max_pool_3x3",
    "avg_pool_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""What may join two nodes, in the order of their codes."""

CELLS = ("normal", "reduce")
NODES = 4
"""Intermediate nodes of a cell; its inputs are nodes 0 and 1."""

Pair = tuple[int, int]
"""(operation, input)"""
Cell = tuple[tuple[Pair, Pair], ...]
"""The pairs of each node, by input."""
Ends = Int[np.ndarray, "8"]
Value = tuple[str, ...]
"""The terms of a sum, sorted."""

_NONE, _SKIP = 0, 1
_WIDTH = NODES + 3  # nodes of one cell in the graph: two inputs, the intermediate ones, the output
_PAIRS = tuple(tuple(combinations(range(2 + node), 2)) for node in range(NODES))  # inputs to choose from, by node
_PARTS = ("", "_concat")
_MOST_CHARACTERS = 4000  # a longer text is no genotype, whatever a parser would make of it
_EDGE_TYPES = ("absent", *OPERATIONS, "factorized_reduce", "concat")
_NODE_TYPES = (
    *(f"{cell}_input_{number}" for cell in CELLS for number in (0, 1)),
    "sum",
    *(f"{cell}_output" for cell in CELLS),
)
_PLAIN = tuple(range(1, 1 + len(OPERATIONS)))
_REDUCING = tuple(
    _EDGE_TYPES.index("factorized_reduce") if code == _SKIP else 1 + code for code in range(len(OPERATIONS))
)
_OPERATION = {edge: code for codes in (_PLAIN, _REDUCING) for code, edge in enumerate(codes)}  # by edge type
_TARGETS = np.repeat(np.arange(2, 2 + NODES), 2)
_SUM = _NODE_TYPES.index("sum")
_NODES = np.array([0, 1, *[_SUM] * NODES, _SUM + 1, 2, 3, *[_SUM] * NODES, _SUM + 2])
_NODES.setflags(write=False)  # all architectures share it
_FRAME = np.zeros((2 * _WIDTH, 2 * _WIDTH), dtype=np.int64)  # the edges that all graphs have
for _output in (_WIDTH - 1, 2 * _WIDTH - 1):
    _FRAME[_output - NODES : _output, _output] = _EDGE_TYPES.index("concat")


class Darts(SearchSpace):
    """The 9.1 · 10^18 genotypes, written `Genotype(normal=[('op', input), …], normal_concat=range(2, 6), …)`."""

    name = "darts"
    size: int = (len(OPERATIONS) ** (2 * NODES) * prod(comb(2 + node, 2) for node in range(NODES))) ** 2
    enumerable = False
    options = tuple(
        names
        for _ in CELLS
        for pairs in _PAIRS
        for names in (tuple(f"{first},{second}" for first, second in pairs), OPERATIONS, OPERATIONS)
    )
    schema = Schema(
        num_nodes=2 * _WIDTH,
        node_types=_NODE_TYPES,
        edge_types=_EDGE_TYPES,
        identity_nodes=frozenset(_NODE_TYPES[: _SUM + 1]),
        identity_edges=frozenset({"skip_connect"}),
        sources=frozenset(_NODE_TYPES[:_SUM]),
        sinks=frozenset(_NODE_TYPES[_SUM + 1 :]),
        zero_edges=frozenset({"none"}),
    )

    def parse(self, text: str) -> Architecture:
        """Read a printed genotype, flat or with one list a node; `…_concat` as a range or a list."""
        try:
            if len(text) > _MOST_CHARACTERS:
                raise ValueError(f"{len(text)} characters")
            call = ast.parse(text.strip(), mode="eval").body  # a tree of the text; nothing is evaluated
            if not isinstance(call, ast.Call) or call.args or ast.unparse(call.func) != "Genotype":
                raise ValueError("no Genotype(...)")
            if [keyword.arg for keyword in call.keywords] != [f"{cell}{part}" for cell in CELLS for part in _PARTS]:
                raise ValueError("other fields")
            values = [keyword.value for keyword in call.keywords]
            if any(ast.unparse(nodes) not in ("range(2, 6)", "[2, 3, 4, 5]") for nodes in values[1::2]):
                raise ValueError("concat leaves out a node")
            normal, reduce = (_read_cell(ast.literal_eval(value)) for value in values[::2])
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
            shown = text if len(text) < 400 else f"{text[:400]}…"
            raise ArchitectureError(f"not a DARTS genotype: {shown!r} ({error}); expected {_pattern()}") from error
        return _architecture(normal, reduce)

    def from_graph(self, graph: Graph) -> Architecture:
        """Read the two edges into every intermediate node."""
        if graph.num_nodes != self.schema.num_nodes:
            raise ArchitectureError(f"not a DARTS genotype: {graph.num_nodes} nodes, not {self.schema.num_nodes}")
        return _architecture(*_cells(graph))

    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """For each node its pair of inputs, the operation on the earlier and the one on the later of them."""
        return tuple(
            choice
            for cell in cells_of(arch)
            for pairs, ((first, i), (second, j)) in zip(_PAIRS, cell, strict=True)
            for choice in (pairs.index((i, j)), first, second)
        )

    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """Any 24 options are a genotype."""
        codes = tuple(choices)
        if len(codes) != len(self.options) or not all(
            0 <= code < len(names) for code, names in zip(codes, self.options, strict=True)
        ):
            raise ArchitectureError(
                f"not a DARTS genotype: choices {codes}; expected {len(self.options)} within options"
            )
        found = []
        for start in (0, 3 * NODES):
            rows = np.reshape(codes[start : start + 3 * NODES], (NODES, 3)).tolist()
            inputs = (pairs[pair] for pairs, (pair, _, _) in zip(_PAIRS, rows, strict=True))
            found.append(tuple(((a, i), (b, j)) for (i, j), (_, a, b) in zip(inputs, rows, strict=True)))
        return _architecture(*found)

    def masked(
        self,
        node_logits: Float[np.ndarray, "B N T"],  # noqa: ARG002 (all genotypes have the same node types)
        edge_logits: Float[np.ndarray, "B N N E"],
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """The two inputs whose best operation gains most over no edge, node by node; the node types are given."""
        batch = np.arange(len(edge_logits))[:, None]
        edges = np.tile(_FRAME, (len(edge_logits), 1, 1))
        for cell, start in zip(CELLS, (0, _WIDTH), strict=True):
            for target in range(2, 2 + NODES):
                allowed = np.array([_codes(cell, source) for source in range(target)])
                logits = edge_logits[:, start : start + target, start + target]
                operations = np.take_along_axis(logits, allowed[None], axis=2)
                gain = operations.max(axis=2) - logits[:, :, 0]
                best = np.argsort(-gain, axis=1, kind="stable")[:, :2]
                edges[batch, start + best, start + target] = allowed[best, operations.argmax(axis=2)[batch, best]]
        return np.broadcast_to(_NODES, (len(edge_logits), 2 * _WIDTH)), edges

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct genotypes."""
        if n > self.size:
            raise ProblemError(f"asked for {n} distinct genotypes; {self.name} has {self.size}")
        found: dict[tuple[int, ...], None] = {}
        limits = [len(names) for names in self.options]
        while len(found) < n:
            found.update(dict.fromkeys(map(tuple, rng.integers(limits, size=(n - len(found), len(limits))).tolist())))
        return [self.from_choices(choices) for choices in found]

    def enumerate(self) -> Iterator[Architecture]:
        """Nobody can walk through 10^18 genotypes."""
        raise ProblemError(f"{self.name} has {self.size} genotypes, too many to enumerate: sample instead")

    def canonical(self, arch: Architecture) -> Architecture:
        """The twin with the fewest operations that compute, its nodes in the order of their values."""
        normal, reduce = (_canonical_cell(cell, name) for cell, name in zip(cells_of(arch), CELLS, strict=True))
        return _architecture(normal, reduce)

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """The 136 genotypes that differ in one operation or in one input."""
        normal, reduce = cells_of(arch)
        return [_architecture(other, reduce) for other in _cell_neighbours(normal)] + [
            _architecture(normal, other) for other in _cell_neighbours(reduce)
        ]

    def draw(self, arch: Architecture) -> str:
        """The normal cell above the reduction cell."""
        parts = {}
        for name, start in zip(CELLS, (0, _WIDTH), strict=True):
            part = slice(start, start + _WIDTH)
            parts[name] = Graph(arch.graph.node_types[part], arch.graph.edge_types[part, part])
        return draw_cells(parts, self.schema, title=arch.text)


def cells_of(arch: Architecture) -> tuple[Cell, Cell]:
    """The normal and the reduction cell: for each node its two (operation, input), by input."""
    return _cells(arch.graph)


def _cells(graph: Graph) -> tuple[Cell, Cell]:
    found = []
    columns = graph.edge_types.T.tolist()
    for start in (0, _WIDTH):
        pairs = [
            [
                (_OPERATION[edge], source)
                for source, edge in enumerate(columns[start + target][start : start + target])
                if edge
            ]
            for target in range(2, 2 + NODES)
        ]
        if any(len(inputs) != 2 for inputs in pairs):
            raise ArchitectureError("not a DARTS genotype: an intermediate node has not two inputs")
        found.append(tuple((first, second) for first, second in pairs))
    return found[0], found[1]


def _read_cell(value: Any) -> Cell:
    """Eight pairs, or four lists of two, as they were printed."""
    if all(isinstance(part, list) for part in value):
        value = [pair for part in value for pair in part] if all(len(part) == 2 for part in value) else []
    if not isinstance(value, list) or len(value) != 2 * NODES:
        raise ValueError(f"a cell has {NODES} nodes of two pairs each")
    nodes = []
    for node, pairs in enumerate(zip(value[::2], value[1::2], strict=True)):
        for name, source in pairs:
            if name not in OPERATIONS:
                raise ValueError(f"{name!r} is none of {', '.join(OPERATIONS)}")
            if type(source) is not int or not 0 <= source < 2 + node:
                raise ValueError(f"node {2 + node} cannot read {source!r}")
        first, second = sorted(((OPERATIONS.index(name), source) for name, source in pairs), key=itemgetter(1))
        if first[1] == second[1]:
            raise ValueError(f"node {2 + node} reads node {first[1]} twice")
        nodes.append((first, second))
    return tuple(nodes)


def _architecture(normal: Cell, reduce: Cell) -> Architecture:
    edges = _FRAME.copy()
    parts = [_part(name, cell) for name, cell in zip(CELLS, (normal, reduce), strict=True)]
    for start, (_, _, sources, targets, types) in zip((0, _WIDTH), parts, strict=True):
        edges[start + sources, start + targets] = types
    edges.setflags(write=False)
    text, key = f"Genotype({parts[0][0]}, {parts[1][0]})", f"{parts[0][1]}/{parts[1][1]}"
    return Architecture(Darts.name, text, Graph(_NODES, edges), key)


@lru_cache(maxsize=2**13)  # neighbours share one of their cells
def _part(name: str, cell: Cell) -> tuple[str, str, Ends, Ends, Ends]:
    """A cell's fields in the text, its part of the key, and its edges as sources, targets and types."""
    pairs = [pair for node in cell for pair in node]
    printed = ", ".join(f"('{OPERATIONS[operation]}', {source})" for operation, source in pairs)
    key = ";".join(sorted(map("+".join, _values(cell, name))))
    sources = np.array([source for _, source in pairs])
    types = np.array([_codes(name, source)[operation] for operation, source in pairs])
    return f"{name}=[{printed}], {name}_concat=range(2, {2 + NODES})", key, sources, _TARGETS, types


def _codes(cell: str, source: int) -> tuple[int, ...]:
    """Edge types of the operations on a node of a cell."""
    return _REDUCING if cell == "reduce" and source < 2 else _PLAIN


def _term(cell: str, operation: int, source: int, value: Value) -> Value:
    """What an operation on a node of that value brings to a sum."""
    if operation == _NONE or not value:
        return ()
    if operation == _SKIP and not (cell == "reduce" and source < 2):
        return value
    return (f"{operation}({'+'.join(value)})",)


def _values(cell: Cell, name: str) -> list[Value]:
    """The intermediate nodes' expressions."""
    values: list[Value] = [("a",), ("b",)]
    for pairs in cell:
        values.append(tuple(sorted(chain.from_iterable(_term(name, o, i, values[i]) for o, i in pairs))))
    return values[2:]


def _canonical_cell(cell: Cell, name: str) -> Cell:
    """Nodes by the length of their expressions, then by these, each made in the lightest way.

    What an expression is made of is shorter or, passed on by a skip, equal: that order is topological.
    """
    values: list[Value] = [("a",), ("b",)]
    nodes = []
    for value in sorted(_values(cell, name), key=lambda value: (sum(map(len, value)) + len(value), value)):
        nodes.append(_lightest(value, values, name))
        values.append(value)
    return tuple(nodes)


def _lightest(value: Value, sources: list[Value], name: str) -> tuple[Pair, Pair]:
    """The pairs of least burden that add up to a value."""
    offers = [_offers(inner, value, name == "reduce" and source < 2) for source, inner in enumerate(sources)]
    fitting = [
        ((a, i), (b, j))
        for i, j in combinations(range(len(sources)), 2)
        for a, first in offers[i]
        for b, second in offers[j]
        if len(first) + len(second) == len(value) and tuple(sorted(first + second)) == value
    ]
    return min(fitting, key=_burden)


def _offers(inner: Value, wanted: Value, strided: bool) -> list[tuple[int, Value]]:
    """Operations on a node of some value that bring nothing or terms of the sum that is wanted."""
    offers: list[tuple[int, Value]] = [(_NONE, ())]
    if inner and not strided and set(inner).issubset(wanted):
        offers.append((_SKIP, inner))
    applied = f"({'+'.join(inner)})"
    return offers + [(int(term[0]), (term,)) for term in set(wanted) if term[1:] == applied]


def _burden(pairs: tuple[Pair, Pair]) -> tuple[int, int, tuple[Pair, Pair]]:
    """Operations that compute, operations at all, the pairs: the order in which twins are preferred."""
    operations = [operation for operation, _ in pairs]
    return sum(o > _SKIP for o in operations), sum(o != _NONE for o in operations), pairs


def _cell_neighbours(cell: Cell) -> Iterator[Cell]:
    """Every other operation on an input, and every other input of an operation."""
    for node, pairs in enumerate(cell):
        for kept, (operation, source) in (pairs, pairs[::-1]):
            changed = [(other, source) for other in range(len(OPERATIONS)) if other != operation]
            changed += [(operation, other) for other in range(2 + node) if other not in (source, kept[1])]
            for pair in changed:
                first, second = sorted((kept, pair), key=itemgetter(1))
                yield (*cell[:node], (first, second), *cell[node + 1 :])


def _pattern() -> str:
    return (
        "Genotype(normal=[('op', input), … 8 pairs], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"
    )
