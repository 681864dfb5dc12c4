"""The network that DARTS [Liu2019]_ trains from scratch for CIFAR, and its costs in closed form.

A 3×3 convolution to 3C channels with BN, then a stack of cells, then global average pooling and a linear layer. The
cells at a third and at two thirds of the depth are reduction cells, which halve the image and double the channels;
others are normal ones. A cell reads the outputs of the two cells before it (of the stem twice, at first), each brought
to its own width by ReLU, a 1×1 convolution and BN, and to its own size where a reduction cell lies between. While
training, operations other than identities are dropped at random, a whole path an image [Larsson2017]_, and a second
classifier sits behind the later reduction cell, whose loss the paper weighs with 0.4.

`costs` leaves the auxiliary classifier out, as all published figures do: it is no part of the network in use.

Deviations: the auxiliary classifier pools images of any size, where DARTS' own is made for 8×8 alone, on which both
are the same; skips and shortcuts that reduce round odd sizes up, where DARTS' own fail.

.. [Larsson2017] G. Larsson, M. Maire, G. Shakhnarovich. FractalNet: Ultra-Deep Neural Networks without Residuals.
   ICLR 2017.
.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

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
from crlso.spaces.darts import NODES, OPERATIONS, Cell, cells_of

WIDTH, CELLS = 36, 20
"""The paper's initial channels and number of cells for CIFAR."""

STEM = 3
"""The stem's channels, in units of the first cells'."""


@dataclass(frozen=True)
class Place:
    """Where a cell stands: the channels that it reads and has, and whether it or the one before it reduces."""

    c_before_last: int
    c_last: int
    channels: int
    reduces: bool
    after_reduction: bool


def places_of(width: int, cells: int) -> Iterator[Place]:
    """Where each of that many cells stands, the first ones of that width in channels."""
    c_before_last = c_last = STEM * width
    channels, after_reduction = width, False
    for index in range(cells):
        reduces = index in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduces else 1
        yield Place(c_before_last, c_last, channels, reduces, after_reduction)
        c_before_last, c_last, after_reduction = c_last, NODES * channels, reduces


class DartsCell(nn.Module):
    """Four nodes, each the sum of two operations on earlier nodes; the output concatenates them."""

    def __init__(self, cell: Cell, place: Place) -> None:
        super().__init__()
        channels = place.channels
        shortcut = FactorizedReduce if place.after_reduction else lambda c_in, c_out: ReLUConvBN(c_in, c_out, 1)
        self.preprocess = nn.ModuleList(
            [shortcut(place.c_before_last, channels), ReLUConvBN(place.c_last, channels, 1)]
        )
        pairs = [pair for node in cell for pair in node]
        self.sources = [source for _, source in pairs]
        self.operations = nn.ModuleList(
            build_operation(OPERATIONS[code], channels, 2 if place.reduces and source < 2 else 1)
            for code, source in pairs
        )

    def forward(
        self, before_last: Float[Tensor, "B C0 H0 W0"], last: Float[Tensor, "B C1 H1 W1"], drop_path: float
    ) -> Float[Tensor, "B C H W"]:
        values = [preprocess(x) for preprocess, x in zip(self.preprocess, (before_last, last), strict=True)]
        terms: list[Tensor] = []
        for source, operation in zip(self.sources, self.operations, strict=True):
            term = operation(values[source])
            if self.training and drop_path and not isinstance(operation, nn.Identity):
                term = drop_paths(term, drop_path)
            terms.append(term)
            if len(terms) % 2 == 0:
                values.append(terms[-2] + terms[-1])
        return torch.cat(values[2:], dim=1)


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


class DartsNetwork(nn.Module):
    """From images [B, C, H, W] to logits [B, num_classes]; in training mode also those of the auxiliary classifier.

    Attributes:
        drop_path: probability to drop a path while training, 0 at first; the paper raises it linearly to 0.2.
    """

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
        super().__init__()
        in_channels, *size = input_shape
        kinds = dict(zip((False, True), cells_of(arch), strict=True))
        places = list(places_of(width, cells))
        self.drop_path = 0.0
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, STEM * width, 3, padding=1, bias=False), nn.BatchNorm2d(STEM * width)
        )
        self.cells = nn.ModuleList(DartsCell(kinds[place.reduces], place) for place in places)
        self.auxiliary_after = 2 * cells // 3
        rows, columns = (-(-pixels // 4) for pixels in size)
        c_auxiliary = NODES * places[self.auxiliary_after].channels
        self.auxiliary = AuxiliaryHead(c_auxiliary, num_classes, (rows, columns)) if auxiliary else None
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(NODES * places[-1].channels, num_classes)
        )

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
    normal, reduction = cells_of(arch)
    in_channels, rows, columns = input_shape
    total = convolution_bn(in_channels, STEM * width, 3, rows, columns)
    for place in places_of(width, cells):
        cell = reduction if place.reduces else normal
        total += _cell_costs(cell, place, rows, columns)
        if place.reduces:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return total + linear(NODES * place.channels, num_classes)


@lru_cache(maxsize=2**14)
def _cell_costs(cell: Cell, place: Place, rows: int, columns: int) -> Costs:
    """Costs of a cell that reads images of that size from the cell before it."""
    c, strided = place.channels, ((rows + 1) // 2, (columns + 1) // 2)
    total = convolution_bn(place.c_before_last, c, 1, rows, columns) + convolution_bn(place.c_last, c, 1, rows, columns)
    inner = strided if place.reduces else (rows, columns)
    for code, source in (pair for node in cell for pair in node):
        total += operation_costs(OPERATIONS[code], c, *inner, 2 if place.reduces and source < 2 else 1)
    return total
