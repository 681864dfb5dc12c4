"""Chains of choices: blocks one after the other, each made by a few independent decisions.

A mobile network is seven blocks, each with an expansion, a kernel, a number of layers and squeeze-excite or not;
widths of layers, or any list of settings, are chains of blocks with one decision each. As a graph, a chain is a path
of sums h_0, …, h_L with a node of its own for every decision between two of them,

    h_b = h_{b-1} + Σ_d φ_d(h_{b-1}),                                                                            (1)

h_0 the input, h_L the output and φ_d what decision d of block b chose. A decision's options are node types, shared by
all blocks that have a decision of that name. One node a block would make a type of its own of every combination of
options (48 for mobile networks), and one node a decision in a row makes the path as deep as there are decisions (28):
in (1) the types are few, the depth is that of the blocks, and the latent of a chain is a residual network.

No two chains compute the same function: every class has one member.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from math import prod

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.base import SearchSpace
from crlso.spaces.drawing import draw_blocks
from crlso.spaces.sampling import LISTABLE, check_choices, distinct_rows

_INPUT, _SUM, _OUTPUT = "input", "sum", "output"


@dataclass(frozen=True)
class Decision:
    """One choice in a block.

    Attributes:
        name: what is decided; in whichever blocks it comes again, equal options mean the same.
        options: what can be chosen, by the names that the notation uses.
    """

    name: str
    options: tuple[str, ...]

    @property
    def types(self) -> tuple[str, ...]:
        """Node types of the options."""
        return tuple(f"{self.name}={option}" for option in self.options)


class Chain(SearchSpace):
    """All chains of given blocks, written as the chosen options joined by `|`."""

    def __init__(self, name: str, blocks: Sequence[Sequence[Decision]]) -> None:
        """Lay out the graph.

        Args:
            name: of the space.
            blocks: the decisions of each block, at least one.
        """
        self.name = name
        self.blocks = tuple(map(tuple, blocks))
        decisions = list(chain(*self.blocks))
        self.options = tuple(decision.options for decision in decisions)
        self.size = prod(map(len, self.options))
        self.enumerable = self.size <= LISTABLE
        types = (_INPUT, _SUM, _OUTPUT, *dict.fromkeys(chain(*(decision.types for decision in decisions))))
        self._codes = [np.array([types.index(kind) for kind in decision.types]) for decision in decisions]
        self._choice = np.full((len(decisions), len(types)), -1)  # by decision and node type
        for row, codes in zip(self._choice, self._codes, strict=True):
            row[codes] = range(len(codes))
        self._places, sums, self._edges = _layout([len(block) for block in self.blocks])
        self._nodes = np.full(len(self._edges), types.index(_SUM))
        self._nodes[[0, sums[-1]]] = types.index(_INPUT), types.index(_OUTPUT)
        self.schema = Schema(
            num_nodes=len(self._nodes),
            node_types=types,
            edge_types=("none", "flow"),
            identity_nodes=frozenset({_INPUT, _SUM, _OUTPUT}),
            identity_edges=frozenset({"flow"}),
            sources=frozenset({_INPUT}),
            sinks=frozenset({_OUTPUT}),
        )

    def write(self, names: Sequence[str]) -> str:
        """The notation of the chosen options, one a decision."""
        return "|".join(names)

    def read(self, text: str) -> list[str]:
        """The options that a text names, not checked."""
        return text.split("|")

    def parse(self, text: str) -> Architecture:
        """Read an option a decision."""
        names = self.read(text.strip())
        if len(names) != len(self.options):
            raise self._refused(text, f"{len(names)} options where there are {len(self.options)} decisions")
        for number, (name, options) in enumerate(zip(names, self.options, strict=True)):
            if name not in options:
                raise self._refused(text, f"decision {number} is {name!r}, none of {', '.join(options)}")
        return self._architecture([options.index(name) for name, options in zip(names, self.options, strict=True)])

    def from_graph(self, graph: Graph) -> Architecture:
        """Read the options off the decisions' nodes."""
        if graph.num_nodes != self.schema.num_nodes:
            raise ArchitectureError(f"a graph of {self.name} has {self.schema.num_nodes} nodes, not {graph.num_nodes}")
        return self.from_choices(self._chosen(graph))

    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """The option of each decision, block by block."""
        return self._chosen(arch.graph)

    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """Any options make a chain."""
        if fault := check_choices(choices, self.options):
            raise ArchitectureError(f"not a chain of {self.name}: {fault}")
        return self._architecture(choices)

    def masked(
        self,
        node_logits: Float[np.ndarray, "B N T"],
        edge_logits: Float[np.ndarray, "B N N E"],  # noqa: ARG002 (all chains have the same edges)
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """The most likely option of each decision; the edges are given."""
        nodes = np.tile(self._nodes, (len(node_logits), 1))
        for place, codes in zip(self._places, self._codes, strict=True):
            nodes[:, place] = codes[node_logits[:, place, codes].argmax(axis=1)]
        return nodes, np.broadcast_to(self._edges, (len(nodes), *self._edges.shape))

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct chains."""
        if n > self.size:
            raise ProblemError(f"asked for {n} distinct chains; {self.name} has {self.size}")
        limits = [len(names) for names in self.options]
        rows = distinct_rows(n, lambda rows: rng.integers(limits, size=(rows, len(limits))))
        return [self._architecture(row) for row in rows]

    def enumerate(self) -> Iterator[Architecture]:
        """All chains, the last decision changing fastest."""
        if not self.enumerable:
            raise ProblemError(f"{self.name} has {self.size} chains, too many to enumerate: sample instead")
        return map(self._architecture, product(*(range(len(names)) for names in self.options)))

    def canonical(self, arch: Architecture) -> Architecture:
        """The chain itself: it has no twins."""
        return arch

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """All chains that differ in one decision."""
        codes = self.choices(arch)
        return [
            self._architecture((*codes[:place], code, *codes[place + 1 :]))
            for place, names in enumerate(self.options)
            for code in range(len(names))
            if code != codes[place]
        ]

    def draw(self, arch: Architecture) -> str:
        """Blocks in rows, each with the options chosen in it."""
        names = iter(self._names(self.choices(arch)))
        return draw_blocks([[next(names) for _ in block] for block in self.blocks], title=arch.text)

    def _chosen(self, graph: Graph) -> tuple[int, ...]:
        kinds = graph.node_types[self._places]
        return tuple(self._choice[range(len(kinds)), kinds].tolist())

    def _names(self, choices: Sequence[int]) -> list[str]:
        return [names[code] for code, names in zip(choices, self.options, strict=True)]

    def _architecture(self, choices: Sequence[int]) -> Architecture:
        nodes = self._nodes.copy()
        nodes[self._places] = [codes[choice] for choice, codes in zip(choices, self._codes, strict=True)]
        nodes.setflags(write=False)
        text = self.write(self._names(choices))
        return Architecture(self.name, text, Graph(nodes, self._edges), key=text)

    def _refused(self, text: str, fault: str) -> ArchitectureError:
        example = self.write([names[0] for names in self.options])
        return ArchitectureError(f"not a chain of {self.name}: {text[:400]!r}: {fault}; expected one such as {example}")


def _layout(sizes: Sequence[int]) -> tuple[Int[np.ndarray, "D"], list[int], Int[np.ndarray, "N N"]]:
    """Nodes of the decisions, nodes of the sums after each block, and the edges, for blocks of so many decisions."""
    edges = np.zeros((1 + len(sizes) + sum(sizes),) * 2, dtype=np.int64)
    places: list[int] = []
    sums: list[int] = []
    last = 0
    for size in sizes:
        inner, following = range(last + 1, last + 1 + size), last + 1 + size
        edges[last, [*inner, following]] = 1
        edges[list(inner), following] = 1
        places += inner
        sums.append(following)
        last = following
    edges.setflags(write=False)
    return np.array(places), sums, edges
