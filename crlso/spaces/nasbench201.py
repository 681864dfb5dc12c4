"""NAS-Bench-201 [Dong2020]_: cells of four nodes, an operation on each of the six edges i → j, i < j.

Node values are sums: h_j = Σ_{i<j} o_ij(h_i), h_0 the cell's input and h_3 its output. Hence `none` contributes
nothing, `skip_connect` passes its source on, and two cells compute the same function when the expressions of
h_3 agree after zeros are dropped and sums of sums are flattened: 4,930 classes of 15,625 cells. The benchmark's
paper keeps the zeros in its string rule and counts 6,466 (`string_rule_key`), which tests use as a cross-check.
Like that rule, the expression does not say which operations share their weights: x@3 + x@3 stands for one
convolution reached by two paths as well as for two convolutions.

.. [Dong2020] X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
   ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.base import SearchSpace
from crlso.spaces.drawing import draw_graph

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Edge types in the order of their codes."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of the six edges, in the order in which the notation lists them."""

_SOURCES, _TARGETS = (np.array(ends) for ends in zip(*EDGES, strict=True))
_NODE_TYPES = np.array([0, 1, 1, 2])
_NODE_TYPES.setflags(write=False)  # all architectures share it
_NONE, _SKIP = 0, 1
_CONVOLUTION_WEIGHTS = {2: 1, 3: 9}  # weights per pair of channels, what orders twins by their cost


class NasBench201(SearchSpace):
    """The 15,625 cells of NAS-Bench-201, written `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""

    name = "nasbench201"
    size: int = len(OPERATIONS) ** len(EDGES)
    options = (OPERATIONS,) * len(EDGES)
    schema = Schema(
        num_nodes=4,
        node_types=("input", "sum", "output"),
        edge_types=OPERATIONS,
        identity_nodes=frozenset({"input", "sum", "output"}),
        identity_edges=frozenset({"skip_connect"}),
        sources=frozenset({"input"}),
        sinks=frozenset({"output"}),
    )

    def parse(self, text: str) -> Architecture:
        """Read the benchmark's string, six operations with their source nodes."""
        codes = []
        groups = text.strip().split("+")
        for target, group in enumerate(groups, start=1):
            terms = group[1:-1].split("|")
            if len(groups) != 3 or len(terms) != target or group != f"|{'|'.join(terms)}|":
                raise ArchitectureError(f"not a NAS-Bench-201 cell: {text!r}; expected {_pattern()}")
            for source, term in enumerate(terms):
                operation, separator, node = term.partition("~")
                if operation not in OPERATIONS or not separator or node != str(source):
                    raise ArchitectureError(
                        f"not a NAS-Bench-201 cell: {term!r} in {text!r}; expected an operation of "
                        f"{', '.join(OPERATIONS)} from node {source}, as in {_pattern()}"
                    )
                codes.append(OPERATIONS.index(operation))
        return _architecture(tuple(codes))

    def from_graph(self, graph: Graph) -> Architecture:
        """Read the operations off the six edges."""
        return _architecture(tuple(graph.edge_types[_SOURCES, _TARGETS].tolist()))

    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """The operations of the six edges."""
        return _codes(arch)

    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """Any six operations are a cell."""
        codes = tuple(choices)
        if len(codes) != len(EDGES) or not all(0 <= code < len(OPERATIONS) for code in codes):
            raise ArchitectureError(f"not a NAS-Bench-201 cell: {codes}; expected {len(EDGES)} numbers from 0 to 4")
        return _architecture(codes)

    def masked(
        self,
        node_logits: Float[np.ndarray, "B N T"],  # noqa: ARG002 (all cells have the same node types)
        edge_logits: Float[np.ndarray, "B N N E"],
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """Every choice of six operations is a cell: an argmax an edge; the node types are given."""
        batch = len(edge_logits)
        edges = np.zeros((batch, 4, 4), dtype=np.int64)
        edges[:, _SOURCES, _TARGETS] = edge_logits[:, _SOURCES, _TARGETS].argmax(axis=-1)
        return np.broadcast_to(_NODE_TYPES, (batch, 4)), edges

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct cells."""
        if n > self.size:
            raise ProblemError(f"asked for {n} distinct cells; {self.name} has {self.size}")
        base = len(OPERATIONS) ** np.arange(len(EDGES))
        numbers = rng.choice(self.size, size=n, replace=False)
        return [_architecture(tuple(row)) for row in (numbers[:, None] // base % len(OPERATIONS)).tolist()]

    def enumerate(self) -> Iterator[Architecture]:
        """All cells, the operation of the last edge changing fastest."""
        return map(_architecture, product(range(len(OPERATIONS)), repeat=len(EDGES)))

    def canonical(self, arch: Architecture) -> Architecture:
        """The twin with the fewest weights, then the fewest edges: what the cell is without its dead parts."""
        return self._representatives[arch.key]

    @cached_property
    def _representatives(self) -> dict[str, Architecture]:
        best: dict[str, Architecture] = {}
        for arch in sorted(self.enumerate(), key=lambda arch: _burden(_codes(arch))):
            best.setdefault(arch.key, arch)
        return best

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """The 24 cells that differ in one operation."""
        codes = _codes(arch)
        return [
            _architecture((*codes[:edge], code, *codes[edge + 1 :]))
            for edge in range(len(EDGES))
            for code in range(len(OPERATIONS))
            if code != codes[edge]
        ]

    def draw(self, arch: Architecture) -> str:
        """Nodes in a row, operations as labelled arcs."""
        return draw_graph(arch.graph, self.schema, title=arch.text)


def string_rule_key(arch: Architecture) -> str:
    """Name of the cell's class by the benchmark paper's rule, which keeps zeros and nested sums as they are."""
    values = ["0"]
    codes = iter(_codes(arch))
    for target in (1, 2, 3):
        terms = []
        for value in values[:target]:
            code = next(codes)
            zero = code == _NONE or value == "#"
            terms.append("#" if zero else value if code == _SKIP else f"({value})@{code}")
        values.append("+".join(sorted(terms)))
    return values[-1]


def _expression(codes: tuple[int, ...]) -> str:
    """The output's expression: terms of a sum sorted, zeros dropped, sums of sums flattened."""
    terms: list[list[str]] = [["x"]]
    for (source, target), code in zip(EDGES, codes, strict=True):
        if target == len(terms):
            terms.append([])
        if code == _NONE or not terms[source]:
            continue
        inner = sorted(terms[source])
        terms[target] += inner if code == _SKIP else [f"{code}({'+'.join(inner)})"]
    return "+".join(sorted(terms[-1]))


def _burden(codes: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    """Weights, edges, codes: the order in which twins are preferred."""
    return sum(_CONVOLUTION_WEIGHTS.get(c, 0) for c in codes), sum(c != _NONE for c in codes), codes


def _codes(arch: Architecture) -> tuple[int, ...]:
    codes: list[int] = arch.graph.edge_types[_SOURCES, _TARGETS].tolist()
    return tuple(codes)


@lru_cache(maxsize=NasBench201.size)
def _architecture(codes: tuple[int, ...]) -> Architecture:
    edges = np.zeros((4, 4), dtype=np.int64)
    edges[_SOURCES, _TARGETS] = codes
    edges.setflags(write=False)
    groups: list[list[str]] = [[], [], []]
    for (source, target), code in zip(EDGES, codes, strict=True):
        groups[target - 1].append(f"{OPERATIONS[code]}~{source}")
    text = "+".join(f"|{'|'.join(group)}|" for group in groups)
    return Architecture(NasBench201.name, text, Graph(_NODE_TYPES, edges), _expression(codes))


def _pattern() -> str:
    return "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
