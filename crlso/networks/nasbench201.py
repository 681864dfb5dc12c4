"""The network around a NAS-Bench-201 cell [Dong2020]_, figure 1, and its costs in closed form.

A 3×3 convolution with BN, then three stages of N = 5 copies of the cell at C = 16, 2C and 4C channels, with a
residual block that halves the image between stages, then BN-ReLU, global average pooling and a linear layer.
The cell holds all six operations, those that cannot reach its output included: the benchmark counts them too.

Deviation: the shortcut of a residual block rounds odd image sizes up, where the benchmark's rounds down and
fails to add; on even sizes, all that the benchmark has, both are the same.

.. [Dong2020] X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
   ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.networks.costs import Costs, batch_norm, convolution, linear
from crlso.networks.operations import ReLUConvBN, build_operation
from crlso.spaces.nasbench201 import EDGES, OPERATIONS

WIDTH, CELLS = 16, 5
"""The benchmark's channels after the stem, and cells a stage."""


class Cell(nn.Module):
    """Four nodes that sum what arrives on their edges: h_j = Σ_{i<j} o_ij(h_i)."""

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(build_operation(name, channels) for name in operations)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        values = [x]
        for (source, target), operation in zip(EDGES, self.operations, strict=True):
            term = operation(values[source])
            if target == len(values):
                values.append(term)
            else:
                values[target] = values[target] + term
        return values[-1]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside an average pool with a 1×1 convolution: [B, C, H, W] to [B, 2C, ⌈H/2⌉, ⌈W/2⌉]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            ReLUConvBN(channels, 2 * channels, 3, stride=2),
            ReLUConvBN(2 * channels, 2 * channels, 3),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Conv2d(channels, 2 * channels, 1, bias=False),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        sum_of_paths: Tensor = self.branch(x) + self.shortcut(x)
        return sum_of_paths


class NasBench201Network(nn.Sequential):
    """From images [B, C, H, W] to logits [B, num_classes]; a sequence of `stem`, three stages and `head`.

    Args:
        arch: the cell.
        num_classes: logits.
        in_channels: channels of the images, of any size.
        width: channels after the stem.
        cells: copies of the cell a stage, N in the paper.
    """

    def __init__(
        self, arch: Architecture, num_classes: int, in_channels: int, *, width: int = WIDTH, cells: int = CELLS
    ) -> None:
        super().__init__()
        operations = [OPERATIONS[arch.graph.edge_types[edge]] for edge in EDGES]
        self.stem = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        for stage in range(3):
            channels = width * 2**stage
            if stage:
                self.add_module(f"block{stage}", ResidualBlock(channels // 2))
            self.add_module(f"stage{stage}", nn.Sequential(*(Cell(operations, channels) for _ in range(cells))))
        self.head = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * width, num_classes),
        )


def build(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """The benchmark's network of a cell, freshly initialised.

    Weights are drawn on the CPU and then moved, so a seed gives the same network on every device.
    """
    return NasBench201Network(arch, num_classes, input_shape[0]).to(device=device, dtype=dtype)


def costs(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    width: int = WIDTH,
    cells: int = CELLS,
) -> Costs:
    """Exact costs of the network, dead operations included; a few microseconds a cell."""
    skeleton, conv_1x1, conv_3x3 = _tariff(num_classes, input_shape, width, cells)
    return skeleton + conv_1x1 * arch.text.count("nor_conv_1x1") + conv_3x3 * arch.text.count("nor_conv_3x3")


@lru_cache(maxsize=256)
def _tariff(num_classes: int, input_shape: tuple[int, int, int], width: int, cells: int) -> tuple[Costs, Costs, Costs]:
    """Costs of all but the cells, and of one edge of all cells by its kind of convolution."""
    in_channels, rows, columns = input_shape
    skeleton = convolution(in_channels, width, 3, rows, columns) + batch_norm(width)
    edges = [Costs(0, 0), Costs(0, 0)]
    for stage in range(3):
        c = width * 2**stage
        if stage:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
            skeleton += convolution(c // 2, c, 3, rows, columns) + convolution(c, c, 3, rows, columns)
            skeleton += batch_norm(c) * 2 + convolution(c // 2, c, 1, rows, columns)
        for kind, kernel_size in enumerate((1, 3)):
            edges[kind] += (convolution(c, c, kernel_size, rows, columns) + batch_norm(c)) * cells
    return skeleton + batch_norm(4 * width) + linear(4 * width, num_classes), edges[0], edges[1]
