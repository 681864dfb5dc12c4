"""Flexible DARTS [Rao2025a]_, [Rao2025b]_: every cell has its own topology, every node any number of operations.

A stack of cells, each of which reads the outputs of the two before it (the stem's twice, at first) as nodes 0 and 1;
nodes 2 to 5 are sums over any non-empty set of (operation, input) pairs, several operations from one input allowed,
and the output concatenates them. The cells at a third and at two thirds of the depth reduce: operations on their
inputs have stride 2 there, so that `skip_connect` is a factorised reduction and no identity. With O operations and L
cells there are

    [Π_i (2^(i O) - 1)]^L,    i = 2 … 5 inputs that a node may read,                                                (1)

architectures: 10^236 of eight cells and seven operations. They are written as compact JSON, `{"cells":[…]}`: a list of
cells, of four nodes each, of pairs such as `["sep_conv_3x3",0]`, by input and then in the order of the operations.

In the graph, an edge is the *set* of operations that join two nodes (decision 6). Two architectures are twins when
their cells compute the same (`flexible_cell`), cells from which nothing reaches the result left aside; in the first
cell, both of whose inputs are the stem, these may be exchanged.

.. [Rao2025a] X. Rao, B. Zhao, D. Liu. FX-DARTS: Designing Topology-unconstrained Architectures with Differentiable
   Architecture Search and Entropy-based Super-network Shrinking. arXiv 2504.20079.
.. [Rao2025b] X. Rao, B. Zhao, D. Liu. DNAD: Differentiable Neural Architecture Distillation. arXiv 2504.20080.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.exceptions import ArchitectureError, ProblemError, SpaceError, unknown
from crlso.spaces import darts
from crlso.spaces.base import SearchSpace
from crlso.spaces.darts import NODES, Darts
from crlso.spaces.drawing import draw_sets
from crlso.spaces.flexible_cell import INTO, PLACES, Sets, alive, changes, key, lightest, operations_in, printed, unused

FAMILIES: dict[str, tuple[str, ...]] = {
    "darts-flexible": darts.OPERATIONS[1:],
    "darts-flexible-dnad": ("sep_conv_3x3", "skip_connect", "dil_conv_5x5"),
}
"""Operations of each family, in the order of their numbers: those of DARTS but `none`, and DNAD's released ones."""

DEPTH = 8
"""Cells of a space whose name does not say how many, as DNAD searches on CIFAR."""
DEPTHS = range(3, 21)
"""How many cells there can be: both reductions need one before them."""

Pair = tuple[str, int]
"""(operation, input)"""
Node = tuple[Pair, ...]
Cell = tuple[Node, Node, Node, Node]

_OPTIONS = ("absent", "present")
_FRAME = ("factorized_reduce", "concat", "before_last", "last")  # edge types beside the sets
_NODE_TYPES = ("stem", "input", "sum", "output", "result")
_WIDTH = NODES + 3  # nodes of one cell in the graph: two inputs, the sums, the output
_SOURCES, _TARGETS = np.array(PLACES).T
_LONGEST_PAIR = 24  # characters of a pair and what parts it from the next, generously


def reduces(index: int, cells: int) -> bool:
    """Whether the cell of that number, from 0, halves the image."""
    return index in (cells // 3, 2 * cells // 3)


class FlexibleDarts(SearchSpace):
    """Stacks of cells, `{"cells":[[[["sep_conv_3x3",0],["skip_connect",1]],… 4 nodes],… cells]}`; `name@5` has 5 cells.

    Attributes:
        operations: what may join two nodes, in the order of their numbers.
        cells: how many.
    """

    enumerable = False

    def __init__(self, family: str, cells: int = DEPTH) -> None:
        """Lay out the graph.

        Args:
            family: one of `FAMILIES`.
            cells: how many, within `DEPTHS`.

        Raises:
            UnknownNameError: there is no such family.
            SpaceError: too few cells or too many.
        """
        if family not in FAMILIES:
            raise unknown("family of flexible spaces", family, FAMILIES)
        if cells not in DEPTHS:
            raise SpaceError(f"{family} of {cells} cells: expected {DEPTHS.start} to {DEPTHS.stop - 1}")
        self.name = family if cells == DEPTH else f"{family}@{cells}"
        self.operations, self.cells = FAMILIES[family], cells
        count = len(self.operations)
        self.size = prod(2 ** (count * target) - 1 for target in range(2, 2 + NODES)) ** cells
        self.options = (_OPTIONS,) * (cells * len(PLACES) * count)
        self.schema = _schema(self.operations, cells)
        self._skip = self.operations.index("skip_connect")
        self._reduces = tuple(reduces(index, cells) for index in range(cells))
        starts = 1 + _WIDTH * np.arange(cells)[:, None]
        self._sources, self._targets = ((starts + ends).ravel() for ends in (_SOURCES, _TARGETS))
        self._types = np.tile(np.arange(2**count), (len(self._sources), 1))  # edge types, by place and set
        strided = (np.array(self._reduces)[:, None] & (_SOURCES < 2)).ravel()
        self._types[strided, 1 << self._skip] = 2**count
        self._nodes, self._frame = _frame(cells, self.schema)

    def parse(self, text: str) -> Architecture:
        """Read the JSON form; the pairs of a node are in order, blanks do not matter."""
        try:
            if len(text) > self.cells * len(PLACES) * len(self.operations) * _LONGEST_PAIR:
                raise ValueError(f"{len(text)} characters")
            document = json.loads(text)
            if not isinstance(document, dict) or list(document) != ["cells"]:
                raise ValueError("no object with cells alone")
            arch = self._architecture(self._read(document["cells"]))
            if arch.text != json.dumps(document, separators=(",", ":")):
                raise ValueError(f"pairs are by input, then in the order {', '.join(self.operations)}")
        except (ValueError, TypeError, RecursionError) as error:
            raise self._refused(text if len(text) < 400 else f"{text[:400]}…", error) from error
        return arch

    def from_cells(self, cells: Sequence[Sequence[Sequence[Pair]]]) -> Architecture:
        """The architecture whose cells have these nodes, each given as its pairs in any order.

        Raises:
            ArchitectureError: they are not of this space; the message says why.
        """
        try:
            return self._architecture(self._read(cells))
        except (ValueError, TypeError) as error:
            raise self._refused("these cells", error) from error

    def from_graph(self, graph: Graph) -> Architecture:
        """Read the sets that join the nodes of each cell."""
        if graph.num_nodes != self.schema.num_nodes:
            raise self._refused("graph", f"{graph.num_nodes} nodes, not {self.schema.num_nodes}")
        return self._architecture(self._sets(graph))

    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """Whether each pair is there: by cell, node, input and operation."""
        codes = np.array(self._sets(arch.graph)).reshape(-1, 1)
        return tuple((codes >> np.arange(len(self.operations)) & 1).ravel().tolist())

    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """Any choices that leave no node empty are an architecture."""
        bits = np.array(choices)
        if bits.shape != (len(self.options),) or not np.isin(bits, (0, 1)).all():
            raise self._refused("choices", f"expected {len(self.options)}, each 0 or 1")
        codes = bits.reshape(self.cells, len(PLACES), -1) @ (1 << np.arange(len(self.operations)))
        return self._architecture(_tuples(codes))

    def masked(
        self,
        node_logits: Float[np.ndarray, "B N T"],  # noqa: ARG002 (all architectures have the same node types)
        edge_logits: Float[np.ndarray, "B N N E"],
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """The best set of every place; where that leaves a node empty, the set that costs least."""
        batch, places = len(edge_logits), np.arange(len(self._sources))
        logits = np.take_along_axis(edge_logits[:, self._sources, self._targets], self._types[None], axis=2)
        some = 1 + logits[:, :, 1:].argmax(axis=2)
        gain = np.take_along_axis(logits, some[:, :, None], axis=2)[:, :, 0] - logits[:, :, 0]
        codes = np.where(gain > 0, some, 0)
        for start in range(0, len(places), len(PLACES)):
            for into in INTO:
                part = slice(start + into.start, start + into.stop)
                empty = np.flatnonzero(~codes[:, part].any(axis=1))
                best = part.start + gain[empty, part].argmax(axis=1)
                codes[empty, best] = some[empty, best]
        edges = np.tile(self._frame, (batch, 1, 1))
        edges[:, self._sources, self._targets] = self._types[places, codes]
        return np.broadcast_to(self._nodes, (batch, len(self._nodes))), edges

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct architectures uniformly; a node of such has half of all pairs that it could have."""
        count = len(self.operations)

        def draw(rows: int) -> Int[np.ndarray, "K L P"]:
            nodes = [rng.integers(1, 2 ** (count * i), size=(rows, self.cells, 1)) for i in range(2, 2 + NODES)]
            shifts = [count * np.arange(i) for i in range(2, 2 + NODES)]
            return np.concatenate([node >> s & (2**count - 1) for node, s in zip(nodes, shifts, strict=True)], axis=2)

        return self._distinct(n, draw)

    def sample_sized(self, n: int, rng: np.random.Generator, pairs_per_node: float) -> list[Architecture]:
        """Draw n distinct architectures whose nodes keep so many pairs on average, as searched ones do.

        A node keeps 1 + k of its m pairs, any alike, where k is binomial in m - 1 trials with the wanted mean.

        Args:
            n: how many.
            rng: where they come from.
            pairs_per_node: from 1 to all pairs of a cell's first node, twice the number of operations.

        Raises:
            ProblemError: no architecture is of that size, or the space has fewer than n.
        """
        count = len(self.operations)
        if not 1 <= pairs_per_node <= 2 * count:
            raise ProblemError(f"pairs_per_node is {pairs_per_node}; expected 1 to {2 * count} in {self.name}")

        def draw(rows: int) -> Int[np.ndarray, "K L P"]:
            nodes = []
            for pairs in (count * target for target in range(2, 2 + NODES)):
                kept = 1 + rng.binomial(pairs - 1, (pairs_per_node - 1) / (pairs - 1), size=(rows, self.cells, 1))
                order = rng.random((rows, self.cells, pairs)).argsort(axis=2).argsort(axis=2)
                nodes.append((order < kept).reshape(rows, self.cells, -1, count) @ (1 << np.arange(count)))
            return np.concatenate(nodes, axis=2)

        return self._distinct(n, draw)

    def enumerate(self) -> Iterator[Architecture]:
        """Nobody can walk through them."""
        raise ProblemError(f"{self.name} has {float(self.size):.1e} architectures: sample instead")

    def canonical(self, arch: Architecture) -> Architecture:
        """The twin with the fewest operations that compute, its nodes in the order of their values."""
        cells = self._sets(arch.graph)
        found = []
        for index, (sets, used, shrinks) in enumerate(zip(cells, alive(cells), self._reduces, strict=True)):
            found.append(lightest(sets, self._skip, shrinks, first=index == 0) if used else unused(self._skip))
        return self._architecture(tuple(found))

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """One pair added, removed, given another operation or another input."""
        cells = self._sets(arch.graph)
        return [
            self._architecture((*cells[:index], other, *cells[index + 1 :]))
            for index, sets in enumerate(cells)
            for other in changes(sets, len(self.operations))
        ]

    def draw(self, arch: Architecture) -> str:
        """A matrix a cell: which operations each node (row) has on which input (column); unused cells are faint."""
        cells = self._sets(arch.graph)
        pictures = {
            f"cell {index}{' (reduction)' if shrinks else ''}": (
                {place: operations_in(code) for place, code in zip(PLACES, sets, strict=True)},
                used,
            )
            for index, (sets, shrinks, used) in enumerate(zip(cells, self._reduces, alive(cells), strict=True))
        }
        return draw_sets(pictures, self.operations, title=arch.text)

    def _read(self, cells: Any) -> tuple[Sets, ...]:
        """Sets of operations from nested pairs."""
        if not isinstance(cells, Sequence) or len(cells) != self.cells:
            raise ValueError(f"there are not {self.cells} cells")
        return tuple(self._read_cell(index, cell) for index, cell in enumerate(cells))

    def _read_cell(self, index: int, cell: Any) -> Sets:
        if not isinstance(cell, Sequence) or len(cell) != NODES:
            raise ValueError(f"cell {index} has not {NODES} nodes")
        codes = dict.fromkeys(PLACES, 0)
        for target, node in enumerate(cell, start=2):
            for name, source in node:
                if name not in self.operations:
                    raise ValueError(f"{name!r} is none of {', '.join(self.operations)}")
                if type(source) is not int or not 0 <= source < target:
                    raise ValueError(f"node {target} of cell {index} cannot read {source!r}")
                bit = 1 << self.operations.index(name)
                if codes[source, target] & bit:
                    raise ValueError(f"node {target} of cell {index} has {name} on {source} twice")
                codes[source, target] |= bit
        return tuple(codes.values())

    def _refused(self, what: str, why: object) -> ArchitectureError:
        pattern = '{"cells":[[[["operation",input],…],… 4 nodes],…]}'
        return ArchitectureError(
            f"not an architecture of {self.name}: {what!r} ({why}); expected {pattern} with {self.cells} cells and the "
            f"operations {', '.join(self.operations)}"
        )

    def _sets(self, graph: Graph) -> tuple[Sets, ...]:
        count = 2 ** len(self.operations)
        codes = graph.edge_types[self._sources, self._targets].astype(np.int64)
        if codes.max() > count:
            raise self._refused("graph", "an edge between nodes of a cell has the type of another place")
        codes[codes == count] = 1 << self._skip
        return _tuples(codes.reshape(self.cells, -1))

    def _architecture(self, cells: tuple[Sets, ...]) -> Architecture:
        for index, sets in enumerate(cells):
            for node, into in enumerate(INTO, start=2):
                if not any(sets[into]):
                    raise self._refused("cells", f"node {node} of cell {index} is empty: keep a pair of it")
        edges = self._frame.copy()
        edges[self._sources, self._targets] = self._types[np.arange(len(self._sources)), np.array(cells).ravel()]
        edges.setflags(write=False)
        text = ",".join(printed(sets, self.operations) for sets in cells)
        keys = "/".join(
            key(sets, self._skip, shrinks, first=index == 0) if used else "-"
            for index, (sets, shrinks, used) in enumerate(zip(cells, self._reduces, alive(cells), strict=True))
        )
        return Architecture(self.name, f'{{"cells":[{text}]}}', Graph(self._nodes, edges), keys)

    def _distinct(self, n: int, draw: Callable[[int], Int[np.ndarray, "K L P"]]) -> list[Architecture]:
        if n > self.size:
            raise ProblemError(f"asked for {n} distinct architectures; {self.name} has {self.size}")
        found: dict[tuple[Sets, ...], None] = {}
        while len(found) < n:
            found.update(dict.fromkeys(map(_tuples, draw(n - len(found)))))
        return [self._architecture(cells) for cells in found]


def cells_of(arch: Architecture) -> tuple[Cell, ...]:
    """The (operation, input) pairs of every node, cell by cell, from the stem to the result.

    Raises:
        ArchitectureError: the architecture is of another space.
    """
    if arch.space.partition("@")[0] not in FAMILIES:
        raise ArchitectureError(f"{arch.space!r} is no flexible space; those are {', '.join(FAMILIES)}")
    cells = json.loads(arch.text)["cells"]
    nodes = [[tuple((name, source) for name, source in node) for node in cell] for cell in cells]
    return tuple((first, second, third, fourth) for first, second, third, fourth in nodes)


def from_darts(arch: Architecture, space: FlexibleDarts) -> Architecture:
    """A DARTS genotype as a flexible architecture: its two cells wherever they stand in the stack, without `none`.

    Raises:
        ArchitectureError: a node is left with no pair, an operation is not of the space, or it is no genotype.
    """
    if arch.space != Darts.name:
        raise ArchitectureError(f"an architecture of {arch.space!r} is no genotype; expected one of {Darts.name!r}")
    kinds = []
    for name, cell in zip(darts.CELLS, darts.cells_of(arch), strict=True):
        nodes = [[(darts.OPERATIONS[code], source) for code, source in pairs] for pairs in cell]
        kept = [[pair for pair in node if pair[0] != "none"] for node in nodes]
        for number, node in enumerate(kept, start=2):
            if not node:
                raise ArchitectureError(
                    f"node {number} of the {name} cell has none on both inputs, and no node of {space.name} may be "
                    "empty: take a genotype whose nodes have an operation each"
                )
        kinds.append(kept)
    return space.from_cells([kinds[reduces(index, space.cells)] for index in range(space.cells)])


def to_darts(arch: Architecture) -> Architecture:
    """The genotype that `from_darts` turns into this architecture.

    Raises:
        ArchitectureError: there is none; the message says why.
    """
    cells = cells_of(arch)
    kinds = []
    for name, shrinks in zip(darts.CELLS, (False, True), strict=True):
        alike = [cell for index, cell in enumerate(cells) if reduces(index, len(cells)) == shrinks]
        if any(cell != alike[0] for cell in alike):
            raise ArchitectureError(f"no DARTS genotype: the cells at {name} places differ, where a genotype has one")
        for number, node in enumerate(alike[0], start=2):
            if len(node) != 2 or node[0][1] == node[1][1]:
                raise ArchitectureError(
                    f"no DARTS genotype: node {number} of the {name} cell has the pairs {node}, where a genotype has "
                    "two, of different inputs"
                )
        kinds.append(f"{name}={[pair for node in alike[0] for pair in node]}, {name}_concat=range(2, {2 + NODES})")
    return Darts().parse(f"Genotype({', '.join(kinds)})")


def _schema(operations: tuple[str, ...], cells: int) -> Schema:
    members = [[operations[number] for number in operations_in(code)] for code in range(1, 2 ** len(operations))]
    names = ["+".join(names) for names in members]
    return Schema(
        num_nodes=1 + _WIDTH * cells,
        node_types=_NODE_TYPES,
        edge_types=("absent", *names, *_FRAME),
        identity_nodes=frozenset({"stem", "input", "sum"}),
        identity_edges=frozenset({"skip_connect"}),
        sources=frozenset({"stem"}),
        sinks=frozenset({"result"}),
        parts={name: frozenset(parts) for name, parts in zip(names, members, strict=True) if len(parts) > 1}
        | {"factorized_reduce": frozenset({"skip_connect"})},  # its place says that it reduces
    )


def _frame(cells: int, schema: Schema) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N N"]]:
    """The nodes and edges that all architectures have; in few bytes, as there may be 10^5 of them."""
    cell = ["input", "input", *["sum"] * NODES, "output"]
    nodes = np.array([_NODE_TYPES.index(name) for name in ["stem", *cell * cells]])
    nodes[-1] = _NODE_TYPES.index("result")
    edges = np.zeros((len(nodes), len(nodes)), dtype=np.int8 if len(schema.edge_types) < 2**7 else np.int16)
    concat, before_last, last = (schema.edge_types.index(name) for name in _FRAME[1:])
    outputs = [0, *range(_WIDTH, len(nodes), _WIDTH)]
    for index, output in enumerate(outputs[1:]):
        edges[output - NODES : output, output] = concat
        edges[outputs[max(index - 1, 0)], output - _WIDTH + 1] = before_last
        edges[outputs[index], output - _WIDTH + 2] = last
    for array in (nodes, edges):
        array.setflags(write=False)
    return nodes, edges


def _tuples(codes: Int[np.ndarray, "L P"]) -> tuple[Sets, ...]:
    return tuple(map(tuple, codes.tolist()))
