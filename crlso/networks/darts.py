"""The network that DARTS [Liu2019]_ trains from scratch for CIFAR, and its costs in closed form.

A 3×3 convolution to 3C channels with BN, then a stack of cells, then global average pooling and a linear layer. The
cells at a third and at two thirds of the depth are reduction cells, which halve the image and double the channels;
others are normal ones. A cell reads the outputs of the two cells before it (of the stem twice, at first), each brought
to its own width by ReLU, a 1×1 convolution and BN, and to its own size where a reduction cell lies between. While
training, operations other than identities are dropped at random, a whole path an image [Larsson2017]_, and a second
classifier sits behind the later reduction cell, whose loss the paper weighs with 0.4.

`StackedCells` is all of that but what the cells compute; `crlso.networks.darts_flexible` stacks others.

`costs` leaves the auxiliary classifier out, as all published figures do: it is no part of the network in use.

Deviations: the auxiliary classifier pools images of any size, where DARTS' own is made for 8×8 alone, on which both
are the same; skips and shortcuts that reduce round odd sizes up, where DARTS' own fail.

.. [Larsson2017] G. Larsson, M. Maire, G. Shakhnarovich. FractalNet: Ultra-Deep Neural Networks without Residuals.
   ICLR 2017.
.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import accumulate, pairwise
from operator import add

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.networks.costs import Costs, linear
from crlso.networks.operations import (
    FactorizedReduce,
    ReLUConvBN,
    build_operation,
    convolution_bn,
    operation_costs,
)
from crlso.spaces.darts import NODES, OPERATIONS, cells_of
from crlso.spaces.darts_flexible import reduces

WIDTH, CELLS = 36, 20
"""The paper's initial channels and number of cells for CIFAR."""

STEM = 3
"""The stem's channels, in units of the first cells'."""


Nodes = tuple[tuple[tuple[str, int], ...], ...]
"""What a cell computes: for each node its (operation, input)."""


@dataclass(frozen=True)
class Place:
    """Where a cell stands: the channels that it reads and has, and whether it or the one before it reduces."""

    c_before_last: int
    c_last: int
    channels: int
    reduces: bool
    after_reduction: bool

    def stride(self, source: int) -> int:
        """Of an operation on that node of the cell."""
        return 2 if self.reduces and source < 2 else 1


def places(width: int, cells: int) -> list[Place]:
    """The places of a stack of cells whose first ones have that many channels."""
    found = []
    c_before_last = c_last = STEM * width
    channels, after_reduction = width, False
    for index in range(cells):
        shrinks = reduces(index, cells)
        channels *= 2 if shrinks else 1
        found.append(Place(c_before_last, c_last, channels, shrinks, after_reduction))
        c_before_last, c_last, after_reduction = c_last, NODES * channels, shrinks
    return found


class DartsCell(nn.Module):
    """Four nodes, each the sum of operations on earlier nodes, times factors; the output concatenates them."""

    coefficients: Tensor | None

    def __init__(
        self,
        nodes: Nodes,
        place: Place,
        coefficients: Sequence[float] | None = None,
        *,
        normalise_pools: bool = False,
    ) -> None:
        """Lay out the operations.

        Args:
            nodes: the pairs of each.
            place: where the cell stands.
            coefficients: a factor for each pair, all nodes in a row; ones when left out.
            normalise_pools: as for `build_operation`.
        """
        super().__init__()
        channels = place.channels
        shortcut = FactorizedReduce if place.after_reduction else lambda c_in, c_out: ReLUConvBN(c_in, c_out, 1)
        self.preprocess = nn.ModuleList(
            [shortcut(place.c_before_last, channels), ReLUConvBN(place.c_last, channels, 1)]
        )
        ends = accumulate((len(pairs) for pairs in nodes), initial=0)
        self.numbers = [range(*pair) for pair in pairwise(ends)]  # of each node's pairs
        self.sources = [source for pairs in nodes for _, source in pairs]
        self.operations = nn.ModuleList(
            build_operation(name, channels, place.stride(source), normalise_pools=normalise_pools)
            for pairs in nodes
            for name, source in pairs
        )
        self.register_buffer("coefficients", None if coefficients is None else torch.tensor(coefficients))

    def forward(
        self, before_last: Float[Tensor, "B C0 H0 W0"], last: Float[Tensor, "B C1 H1 W1"], drop_path: float
    ) -> Float[Tensor, "B C H W"]:
        values = [preprocess(x) for preprocess, x in zip(self.preprocess, (before_last, last), strict=True)]
        for numbers in self.numbers:
            values.append(reduce(add, [self._term(number, values, drop_path) for number in numbers]))
        return torch.cat(values[2:], dim=1)

    def _term(self, number: int, values: Sequence[Tensor], drop_path: float) -> Tensor:
        """What one pair brings to its node."""
        operation = self.operations[number]
        term: Tensor = operation(values[self.sources[number]])
        if self.training and drop_path and not isinstance(operation, nn.Identity):
            term = drop_paths(term, drop_path)
        return term if self.coefficients is None else self.coefficients[number] * term


class AuxiliaryHead(nn.Sequential):
    """A classifier of [B, C, H, W] by two convolutions on what is pooled to 2×2."""

    def __init__(self, channels: int, num_classes: int, size: tuple[int, int]) -> None:
        pool = nn.AvgPool2d(5, stride=3) if size == (8, 8) else nn.AdaptiveAvgPool2d(2)
        super().__init__(
            nn.ReLU(),
            pool,
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )


class StackedCells(nn.Module):
    """From images [B, C, H, W] to logits [B, num_classes]; in training mode also those of the auxiliary classifier.

    Attributes:
        drop_path: probability to drop a path while training, 0 at first; the paper raises it linearly to 0.2.
    """

    def __init__(
        self,
        stack: Sequence[Place],
        cells: Iterable[nn.Module],
        num_classes: int,
        input_shape: tuple[int, int, int],
        *,
        auxiliary: bool,
    ) -> None:
        """Put cells between a stem and a head.

        Args:
            stack: the cells' places, from the stem to the head.
            cells: what stands there; a generator makes them after the stem, in the order in which images pass.
            num_classes: logits.
            input_shape: (C, H, W) of one image.
            auxiliary: whether there is an auxiliary classifier.
        """
        super().__init__()
        in_channels, *size = input_shape
        c_stem, c_last = stack[0].c_last, NODES * stack[-1].channels
        self.drop_path = 0.0
        self.stem = nn.Sequential(nn.Conv2d(in_channels, c_stem, 3, padding=1, bias=False), nn.BatchNorm2d(c_stem))
        self.cells = nn.ModuleList(cells)
        self.auxiliary_after = 2 * len(stack) // 3
        rows, columns = (-(-pixels // 4) for pixels in size)
        c_auxiliary = NODES * stack[self.auxiliary_after].channels
        self.auxiliary = AuxiliaryHead(c_auxiliary, num_classes, (rows, columns)) if auxiliary else None
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_last, num_classes))

    def forward(
        self, x: Float[Tensor, "B C H W"]
    ) -> Float[Tensor, "B K"] | tuple[Float[Tensor, "B K"], Float[Tensor, "B K"]]:
        before_last = last = self.stem(x)
        auxiliary = None
        for index, cell in enumerate(self.cells):
            before_last, last = last, cell(before_last, last, self.drop_path)
            if self.training and self.auxiliary is not None and index == self.auxiliary_after:
                auxiliary = self.auxiliary(last)
        logits: Tensor = self.head(last)
        return logits if auxiliary is None else (logits, auxiliary)

    def stages(self, x: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B C2 H2 W2"]]:
        """Outputs of the last cell before the first reduction, before the second and of all."""
        before_last = last = self.stem(x)
        outputs = []
        for cell in self.cells:
            before_last, last = last, cell(before_last, last, self.drop_path)
            outputs.append(last)
        return [outputs[len(outputs) // 3 - 1], outputs[2 * len(outputs) // 3 - 1], last]


class DartsNetwork(StackedCells):
    """The stack of a genotype's two cells."""

    def __init__(
        self,
        arch: Architecture,
        num_classes: int,
        input_shape: tuple[int, int, int],
        *,
        width: int = WIDTH,
        cells: int = CELLS,
        auxiliary: bool = True,
    ) -> None:
        """Lay out the cells.

        Args:
            arch: the two cells.
            num_classes: logits.
            input_shape: (C, H, W) of one image.
            width: channels of the first cells, C in the paper.
            cells: how many, at least one.
            auxiliary: whether there is an auxiliary classifier.
        """
        normal, reduction = _nodes(arch)
        stack = places(width, cells)
        made = (DartsCell(reduction if place.reduces else normal, place) for place in stack)
        super().__init__(stack, made, num_classes, input_shape, auxiliary=auxiliary)


def drop_paths(x: Float[Tensor, "B C H W"], probability: float) -> Float[Tensor, "B C H W"]:
    """Zero for each image with that probability, scaled up otherwise so that the mean is kept."""
    keep = 1 - probability
    return x * (x.new_empty(len(x), 1, 1, 1).bernoulli_(keep) / keep)


def build(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    width: int = WIDTH,
    cells: int = CELLS,
    auxiliary: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """The network of two cells, freshly initialised; the paper's for CIFAR unless told otherwise.

    Weights are drawn on the CPU and then moved, so a seed gives the same network on every device.
    """
    network = DartsNetwork(arch, num_classes, input_shape, width=width, cells=cells, auxiliary=auxiliary)
    return network.to(device=device, dtype=dtype)


def costs(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    width: int = WIDTH,
    cells: int = CELLS,
) -> Costs:
    """Exact costs of the network without its auxiliary classifier."""
    normal, reduction = _nodes(arch)
    stack = places(width, cells)
    return stack_costs([reduction if place.reduces else normal for place in stack], stack, num_classes, input_shape)


def stack_costs(
    cells: Iterable[Nodes], stack: Sequence[Place], num_classes: int, input_shape: tuple[int, int, int]
) -> Costs:
    """Exact costs of cells at their places, with stem and head and without an auxiliary classifier."""
    in_channels, rows, columns = input_shape
    total = convolution_bn(in_channels, stack[0].c_last, 3, rows, columns)
    for nodes, place in zip(cells, stack, strict=True):
        total += _cell_costs(nodes, place, rows, columns)
        if place.reduces:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return total + linear(NODES * stack[-1].channels, num_classes)


@lru_cache(maxsize=2**14)
def _cell_costs(nodes: Nodes, place: Place, rows: int, columns: int) -> Costs:
    """Costs of a cell that reads images of that size from the cell before it."""
    c, strided = place.channels, ((rows + 1) // 2, (columns + 1) // 2)
    total = convolution_bn(place.c_before_last, c, 1, rows, columns) + convolution_bn(place.c_last, c, 1, rows, columns)
    inner = strided if place.reduces else (rows, columns)
    counts = Counter((name, place.stride(source)) for pairs in nodes for name, source in pairs)
    for (name, stride), count in counts.items():
        total += operation_costs(name, c, *inner, stride) * count
    return total


def _nodes(arch: Architecture) -> tuple[Nodes, Nodes]:
    """The normal and the reduction cell, operations by name."""
    normal, reduction = (
        tuple(tuple((OPERATIONS[code], source) for code, source in pairs) for pairs in cell) for cell in cells_of(arch)
    )
    return normal, reduction
