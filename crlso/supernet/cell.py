"""A cell of a supernet: every candidate operation on every input of every node, each with a weight.

    x_i = Σ_{j<i} Σ_o w_{i,j,o} o(x_j),   i = 2 … 5,                                                              (1)

with x_0 and x_1 the outputs of the two cells before, brought to this cell's width; the output concatenates x_2 … x_5.
A triple (i, j, o) is a *pair* (operation, input) of node i. Pairs are numbered by node, then input, then operation in
the order in which the supernet names them; a pair keeps its number when others die.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import ProblemError
from crlso.networks.darts import Place
from crlso.networks.operations import FactorizedReduce, ReLUConvBN
from crlso.spaces.darts import NODES
from crlso.supernet.outcomes import Outcome, Source, combine
from crlso.supernet.parallel import (
    MOMENTUM,
    Change,
    ParallelOperation,
    build_candidate,
    build_parallel,
    without_affine,
)

Pair: TypeAlias = tuple[str, int]
"""(operation, input)"""
Node: TypeAlias = tuple[Pair, ...]
"""What a node adds up."""
Cell: TypeAlias = tuple[Node, ...]
"""Nodes 2 to 5."""


class Triple(NamedTuple):
    """A pair and the node that it enters."""

    node: int
    source: int
    operation: str


class _Read(NamedTuple):
    """Instances of one operation that read the sources ready at one step, and the numbers of their pairs."""

    operation: str
    rows: tuple[int, ...]
    pairs: tuple[int, ...]


def triples(operations: Sequence[str]) -> tuple[Triple, ...]:
    """All pairs of a cell in the order of their numbers, 14 for each operation."""
    return tuple(
        Triple(node, source, name) for node in range(2, 2 + NODES) for source in range(node) for name in operations
    )


class MixedCell(nn.Module):
    """Equation (1), by one `ParallelOperation` for each candidate operation and stride.

    Attributes:
        triples: what each number of a pair means.
        alive: which pairs there still are, by number.
        momentum: share of the newest batch in running statistics; 0 leaves them as they are.
    """

    def __init__(self, operations: Sequence[str], place: Place) -> None:
        super().__init__()
        channels = place.channels
        self.preprocess = nn.ModuleList(
            without_affine(module)
            for module in (
                FactorizedReduce(place.c_before_last, channels)
                if place.after_reduction
                else ReLUConvBN(place.c_before_last, channels, 1),
                ReLUConvBN(place.c_last, channels, 1),
            )
        )
        self.channels, self.reduces, self.momentum = channels, place.reduces, MOMENTUM
        self.triples = triples(operations)
        self.alive = [True] * len(self.triples)
        self._instances: dict[str, list[int]] = {}  # numbers of the pairs that an operation's rows are
        for number, triple in enumerate(self.triples):
            self._instances.setdefault(self._key(triple), []).append(number)
        self.operations = nn.ModuleDict()
        for key, numbers in self._instances.items():
            first = self.triples[numbers[0]]
            sources = [self.triples[number].source for number in numbers]
            self.operations[key] = build_parallel(first.operation, channels, self.stride(first), sources)
        self._plan()

    def stride(self, triple: Triple) -> int:
        """Pixels that an operation moves on."""
        return 2 if self.reduces and triple.source < 2 else 1

    def _key(self, triple: Triple) -> str:
        return f"{triple.operation}_{self.stride(triple)}"

    def _plan(self) -> None:
        """What can be computed once sources 0 and 1 are there, and after each further one; what enters each node."""
        steps: list[list[_Read]] = [[] for _ in range(NODES)]
        for key, numbers in self._instances.items():
            ready = [max(1, self.triples[number].source) - 1 for number in numbers]
            for step in sorted(set(ready)):
                rows = tuple(row for row, found in enumerate(ready) if found == step)
                steps[step].append(_Read(key, rows, tuple(numbers[row] for row in rows)))
        self._steps = steps
        self._entering = [
            [number for number, triple in enumerate(self.triples) if triple.node == node and self.alive[number]]
            for node in range(2, 2 + NODES)
        ]

    def forward(
        self,
        before_last: Float[Tensor, "B C0 H0 W0"],
        last: Float[Tensor, "B C1 H1 W1"],
        weights: Float[Tensor, "pairs"],
    ) -> Float[Tensor, "B C H W"]:
        sources = [Source(preprocess(x)) for preprocess, x in zip(self.preprocess, (before_last, last), strict=True)]
        scalars, outcomes = weights.unbind(), dict[int, Outcome]()
        for reads, entering in zip(self._steps, self._entering, strict=True):
            for operation, rows, numbers in reads:
                found = self._operation(operation).outcomes(sources, rows)
                outcomes.update(zip(numbers, found, strict=True))
            terms = [outcomes.pop(number) for number in entering]
            entered = [scalars[number] for number in entering]
            sources.append(Source(combine(entered, terms, self.training, self.momentum)))
        return torch.cat([source.x for source in sources[2:]], dim=1)

    def kill(self, numbers: Sequence[int]) -> list[Change]:
        """Remove pairs for good; those dead already may be among them.

        Raises:
            ProblemError: a node would be left without any.
        """
        dying = set(numbers)
        for node, entering in enumerate(self._entering, start=2):
            if dying.issuperset(entering):
                raise ProblemError(f"node {node} of the cell would lose its last pair: leave one alive")
        for number in dying:
            self.alive[number] = False
        changes: list[Change] = []
        for key, instances in list(self._instances.items()):
            rows = [row for row, number in enumerate(instances) if number not in dying]
            if len(rows) == len(instances):
                continue
            if rows:
                changes += self._operation(key).keep(rows)
                self._instances[key] = [instances[row] for row in rows]
            else:
                changes += [Change(parameter, None, ()) for parameter in self.operations[key].parameters()]
                del self.operations[key], self._instances[key]
        self._plan()
        return changes

    def export(self, number: int) -> nn.Module:
        """The stand-alone module that a living pair is equal to, with copies of its filters and statistics."""
        triple = self.triples[number]
        operation = self._operation(self._key(triple))
        like = next(self.parameters())
        module = build_candidate(triple.operation, self.channels, self.stride(triple)).to(like)
        operation.export_to(self._instances[self._key(triple)].index(number), module)
        return module.train(self.training)

    def _operation(self, key: str) -> ParallelOperation:
        return cast(ParallelOperation, self.operations[key])


@contextmanager
def untracked(module: nn.Module) -> Iterator[None]:
    """Within, a module computes the same and leaves its running statistics alone, as a second pass has to."""
    parts = [part for part in module.modules() if isinstance(part, MixedCell | ParallelOperation | nn.BatchNorm2d)]
    momenta = [part.momentum for part in parts]
    counts = [part.num_batches_tracked for part in parts if isinstance(part, nn.BatchNorm2d)]
    before = [cast(Tensor, count).clone() for count in counts]
    for part in parts:
        part.momentum = 0.0
    try:
        yield
    finally:
        for part, momentum in zip(parts, momenta, strict=True):
            part.momentum = momentum
        for count, value in zip(counts, before, strict=True):
            cast(Tensor, count).copy_(value)
