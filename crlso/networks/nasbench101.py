"""The network around a NAS-Bench-101 cell [Ying2019]_, figure 1, and its costs in closed form.

A 3×3 convolution to C = 128 channels, then three stacks of three copies of the cell at C, 2C and 4C channels, with a
2×2 max pool between stacks, then global average pooling and a linear layer. Convolutions are followed by BN and ReLU.

Inside a cell, each edge from the input is a 1×1 convolution of its own. The interior vertices that lead to the output
share its channels out among themselves, the first ones one channel more where the division leaves a remainder; any
other vertex is as wide as the widest vertex it leads to, and a narrower one takes the first channels of what it reads.
Only the live part of a cell is built. The vertices' order decides who gets the remainder, so that twins may differ by
a few parameters; the order is that of the architecture's text.

.. [Ying2019] C. Ying et al. NAS-Bench-101: Towards Reproducible Neural Architecture Search. ICML 2019.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.networks.costs import Costs, linear
from crlso.networks.operations import ConvBNReLU, build_operation, convolution_bn, operation_costs
from crlso.spaces.isomorphism import Matrix, rearranged
from crlso.spaces.nasbench101 import cell_of, live_vertices

WIDTH, STACKS, CELLS = 128, 3, 3
"""The benchmark's channels after the stem, stacks, and cells a stack."""


class Cell(nn.Module):
    """The live part of a cell, from [B, C_in, H, W] to [B, C_out, H, W].

    Args:
        matrix: edges between vertices, all of them live.
        operations: of the interior vertices.
        c_in: channels of the input.
        c_out: channels of the output.
    """

    def __init__(self, matrix: Matrix, operations: tuple[str, ...], c_in: int, c_out: int) -> None:
        super().__init__()
        self.matrix = matrix
        self.channels = vertex_channels(matrix, c_in, c_out)
        interior = zip(operations, self.channels[1:-1], strict=True)
        self.operations = nn.ModuleList(build_operation(name, channels) for name, channels in interior)
        self.projections = nn.ModuleDict(
            {str(v): ConvBNReLU(c_in, channels, 1) for v, channels in enumerate(self.channels) if matrix[0][v]}
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        last = len(self.channels) - 1
        values = [x]
        for vertex, operation in enumerate(self.operations, start=1):
            terms = [values[i][:, : self.channels[vertex]] for i in range(1, vertex) if self.matrix[i][vertex]]
            values.append(operation(self._sum(vertex, terms, x)))
        parts = [values[i] for i in range(1, last) if self.matrix[i][last]]
        return self._sum(last, [torch.cat(parts, dim=1)] if parts else [], x)

    def _sum(self, vertex: int, terms: list[Tensor], x: Tensor) -> Tensor:
        """What arrives at a vertex: the terms given and the projected input, if it has an edge from there."""
        if str(vertex) in self.projections:
            terms = [*terms, self.projections[str(vertex)](x)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class NasBench101Network(nn.Sequential):
    """From images [B, C, H, W] to logits [B, num_classes]; a sequence of `stem`, stacks with pools, and `head`.

    Args:
        arch: the cell.
        num_classes: logits.
        in_channels: channels of the images, of any size.
        width: channels after the stem.
        cells: copies of the cell a stack.
    """

    def __init__(
        self, arch: Architecture, num_classes: int, in_channels: int, *, width: int = WIDTH, cells: int = CELLS
    ) -> None:
        super().__init__()
        matrix, operations = _core(arch)
        self.stem = ConvBNReLU(in_channels, width, 3)
        c_in = width
        for stack in range(STACKS):
            channels = width * 2**stack
            if stack:
                self.add_module(f"pool{stack}", nn.MaxPool2d(2, ceil_mode=True))
            copies = [Cell(matrix, operations, c_in if n == 0 else channels, channels) for n in range(cells)]
            self.add_module(f"stack{stack}", nn.Sequential(*copies))
            c_in = channels if cells else c_in
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, num_classes))


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
    return NasBench101Network(arch, num_classes, input_shape[0]).to(device=device, dtype=dtype)


def costs(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    width: int = WIDTH,
    cells: int = CELLS,
) -> Costs:
    """Exact costs of the network; some fifty microseconds a cell."""
    matrix, operations = _core(arch)
    in_channels, rows, columns = input_shape
    total, c_in = convolution_bn(in_channels, width, 3, rows, columns), width
    for stack in range(STACKS):
        channels = width * 2**stack
        if stack:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        for _ in range(cells):
            total += _cell_costs(matrix, operations, c_in, channels, rows * columns)
            c_in = channels
    return total + linear(c_in, num_classes)


def vertex_channels(matrix: Matrix, c_in: int, c_out: int) -> list[int]:
    """Channels of every vertex of a cell without dead vertices, input and output included."""
    last = len(matrix) - 1
    leading = [vertex for vertex in range(1, last) if matrix[vertex][last]]
    channels = [c_in, *[0] * (last - 1), c_out]
    for place, vertex in enumerate(leading):
        channels[vertex] = c_out // len(leading) + (place < c_out % len(leading))
    for vertex in reversed(range(1, last)):
        if not matrix[vertex][last]:
            channels[vertex] = max(channels[target] for target in range(vertex + 1, last) if matrix[vertex][target])
    return channels


def _core(arch: Architecture) -> tuple[Matrix, tuple[str, ...]]:
    """Matrix and interior operations of the live part."""
    matrix, ops = cell_of(arch)
    live = live_vertices(matrix)
    return rearranged(matrix, live), tuple(ops[vertex] for vertex in live[1:-1])


@lru_cache(maxsize=2**14)
def _cell_costs(matrix: Matrix, operations: tuple[str, ...], c_in: int, c_out: int, pixels: int) -> Costs:
    total, channels = Costs(0, 0), vertex_channels(matrix, c_in, c_out)
    for vertex, name in enumerate(operations, start=1):
        total += operation_costs(name, channels[vertex], pixels, 1)
    for vertex, width in enumerate(channels):
        if matrix[0][vertex]:
            total += convolution_bn(c_in, width, 1, pixels, 1)
    return total
