"""A supernet over flexible DARTS cells: every cell has a topology of its own, and what dies in it is gone.

The network around the cells is the one of `crlso.networks.darts`: a stem, cells that reduce at a third and at two
thirds of the depth, global average pooling and a linear layer. In the space of SNPS and DNAD [Rao2025]_ a node keeps
any number ≥ 1 of pairs (operation, input); here each of them has a weight, which a searching method derives from its
architecture parameters, and a method lets pairs die by `kill`. A dead pair has no parameters and takes neither time
nor memory; the network without it is the function that it was with the weight 0.

`shrink_optimizer` takes the dead rows out of an optimiser's state as well, so what lives goes on as if nothing had
happened. `slice_weights` copies out what a stand-alone network of some of the pairs needs.

Deviations: normalisations in cells have no affine parameters and pools are followed by one, both as in DARTS' search.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crlso.exceptions import ProblemError, unknown
from crlso.networks.darts import STEM, places
from crlso.spaces.darts import NODES
from crlso.supernet.cell import Cell, MixedCell, Triple, untracked
from crlso.supernet.parallel import OPERATIONS, Change

WIDTH, CELLS = 16, 8
"""Channels of the first cells and number of cells with which DARTS and DNAD search on CIFAR."""


@dataclass(frozen=True)
class CellSlice:
    """What a cell of a stand-alone network needs: how it brings its inputs to its width, and a module a pair."""

    preprocess: nn.ModuleList
    operations: dict[Triple, nn.Module]


@dataclass(frozen=True)
class NetworkSlice:
    """Copies of a supernet's parts that a stand-alone network of some of its pairs needs."""

    stem: nn.Module
    cells: tuple[CellSlice, ...]
    head: nn.Module


class FlexibleSupernet(nn.Module):
    """From images [B, C, H, W] and a weight for each pair of each cell to logits.

    Attributes:
        operations: names of the candidate operations, in the order that numbers pairs.
        triples: what the number of a pair means, the same in every cell (`crlso.supernet.cell.triples`).
        ends: cells whose outputs a distilling method compares with a teacher's, the last before each reduction and
            the last of all.
        checkpointed: cells that keep nothing for the backward pass and are computed again in it.
    """

    def __init__(
        self,
        operations: Sequence[str],
        num_classes: int,
        input_shape: tuple[int, int, int],
        *,
        width: int = WIDTH,
        cells: int = CELLS,
        checkpointed: Collection[int] = (),
    ) -> None:
        """Lay out the cells with all pairs alive.

        Args:
            operations: names of candidate operations, `crlso.supernet.parallel.OPERATIONS` at most.
            num_classes: logits.
            input_shape: (C, H, W) of one image.
            width: channels of the first cells.
            cells: how many, at least three.
            checkpointed: cells that save memory at the cost of a second forward pass.

        Raises:
            UnknownNameError: no supernet can mix an operation of that name.
            ProblemError: there are fewer than three cells, or no operation, or one twice.
        """
        super().__init__()
        for name in operations:
            if name not in OPERATIONS:
                raise unknown("operation of a supernet", name, OPERATIONS)
        if cells < 3 or not operations or len(set(operations)) < len(operations):
            raise ProblemError(
                f"{cells} cells of operations {', '.join(operations)}: at least three cells, and operations, each once"
            )
        stack = places(width, cells)
        self.operations = tuple(operations)
        self.stem = nn.Sequential(
            nn.Conv2d(input_shape[0], STEM * width, 3, padding=1, bias=False), nn.BatchNorm2d(STEM * width)
        )
        self.cells = nn.ModuleList(MixedCell(operations, place) for place in stack)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(NODES * stack[-1].channels, num_classes)
        )
        self.triples = self._cell(0).triples
        self.ends = (cells // 3 - 1, 2 * cells // 3 - 1, cells - 1)
        self.checkpointed = frozenset(checkpointed)

    @property
    def alive(self) -> list[list[bool]]:
        """For every cell which pairs there still are, by number."""
        return [list(self._cell(index).alive) for index in range(len(self.cells))]

    def forward(self, x: Float[Tensor, "B C H W"], weights: Sequence[Float[Tensor, "pairs"]]) -> Float[Tensor, "B K"]:
        """Logits; weights are one tensor a cell, of which those of dead pairs are not looked at."""
        return self.forward_with_features(x, weights)[0]

    def forward_with_features(
        self, x: Float[Tensor, "B C H W"], weights: Sequence[Float[Tensor, "pairs"]]
    ) -> tuple[Float[Tensor, "B K"], list[Tensor]]:
        """Logits and the outputs [B, C, H, W] of the cells `ends`."""
        # All that is fast in cells wants channels last, and whatever follows keeps the order of the stem's output.
        before_last = last = self.stem(x.contiguous(memory_format=torch.channels_last))
        features = []
        for index, w in enumerate(weights):
            before_last, last = last, self._run(index, before_last, last, w)
            if index in self.ends:
                features.append(last)
        return self.head(last), features

    def _run(self, index: int, before_last: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        cell = self._cell(index)
        if index not in self.checkpointed or not torch.is_grad_enabled():
            return cast(Tensor, cell(before_last, last, weights))
        contexts = (nullcontext(), untracked(cell))
        return cast(
            Tensor, checkpoint(cell, before_last, last, weights, use_reentrant=False, context_fn=lambda: contexts)
        )

    def kill(self, cell: int, pairs: Iterable[int]) -> list[Change]:
        """Remove pairs of a cell for good.

        Args:
            cell: its number.
            pairs: numbers of pairs; those dead already may be among them.

        Returns:
            what became of the parameters, for `shrink_optimizer`.

        Raises:
            ProblemError: a node would be left without any pair.
        """
        return self._cell(cell).kill(list(pairs))

    def kept(self) -> tuple[Cell, ...]:
        """The living pairs of every cell, node by node."""
        found = []
        for alive in self.alive:
            living = [triple for triple, lives in zip(self.triples, alive, strict=True) if lives]
            found.append(
                tuple(
                    tuple((triple.operation, triple.source) for triple in living if triple.node == node)
                    for node in range(2, 2 + NODES)
                )
            )
        return tuple(found)

    def _cell(self, index: int) -> MixedCell:
        return cast(MixedCell, self.cells[index])


def slice_weights(supernet: FlexibleSupernet, kept: Sequence[Cell]) -> NetworkSlice:
    """Copy out what a stand-alone network of some living pairs needs, one entry of `kept` a cell.

    Raises:
        ProblemError: the supernet has another number of cells, or a pair is dead or none of it.
    """
    if len(kept) != len(supernet.cells):
        raise ProblemError(f"pairs of {len(kept)} cells for a supernet of {len(supernet.cells)}")
    numbers = {triple: number for number, triple in enumerate(supernet.triples)}
    cells = []
    for index, (module, nodes) in enumerate(zip(supernet.cells, kept, strict=True)):
        cell, operations = cast(MixedCell, module), {}
        for triple in (Triple(n, source, name) for n, node in enumerate(nodes, start=2) for name, source in node):
            if triple not in numbers or not cell.alive[numbers[triple]]:
                raise ProblemError(
                    f"cell {index} has no living {triple.operation} from {triple.source} to {triple.node}"
                )
            operations[triple] = cell.export(numbers[triple])
        cells.append(CellSlice(deepcopy(cell.preprocess), operations))
    return NetworkSlice(deepcopy(supernet.stem), tuple(cells), deepcopy(supernet.head))


def shrink_optimizer(optimizer: torch.optim.Optimizer, changes: Iterable[Change]) -> None:
    """Put the parameters that are left into an optimiser, with the rows of its state that are theirs.

    What is of the parameter's shape, as moments and momenta are, loses the dead rows; other state, as the count of
    steps, stays. The living rows go on exactly as if the dead ones had been there.
    """
    by_parameter = {id(change.before): change for change in changes}
    for group in optimizer.param_groups:
        parameters = []
        for parameter in group["params"]:
            living: nn.Parameter | None = parameter
            while living is not None and (change := by_parameter.get(id(living))):  # a cell may have shrunk repeatedly
                state = optimizer.state.pop(living, {})
                if change.after is not None and state:
                    optimizer.state[change.after] = _rows(state, change)
                living = change.after
            if living is not None:
                parameters.append(living)
        group["params"] = parameters


def _rows(state: dict[str, Any], change: Change) -> dict[str, Any]:
    rows, shape = list(change.rows), change.before.shape
    return {
        key: value[rows].clone() if isinstance(value, Tensor) and value.shape == shape else value
        for key, value in state.items()
    }
