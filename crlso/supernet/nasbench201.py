"""A supernet over NAS-Bench-201 [Dong2020]_: one path at a time, every cell with the operations of all six edges.

The network is the one of `crlso.networks.nasbench201`. Each copy of the cell has its own instance of both convolutions
on each edge; all architectures use those same weights [Guo2020]_. A step names the operation of each edge and computes
what lies on a path from the cell's input to its output, nothing else.

Deviations from the benchmark's network: the stem may have a stride, which saves time; normalisations have no affine
parameters unless asked for, and use the statistics of the batch in evaluation too, since running ones would average
over all architectures that were drawn; an edge from a node that nothing reaches brings zero, as the space counts it,
where a normalisation with a bias would bring that.

.. [Dong2020] X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
   ICLR 2020.
.. [Guo2020] Z. Guo et al. Single Path One-Shot Neural Architecture Search with Uniform Sampling. ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import ProblemError
from crlso.networks.nasbench201 import CELLS, WIDTH, NasBench201Network, ResidualBlock
from crlso.networks.operations import build_operation
from crlso.spaces.nasbench201 import EDGES, OPERATIONS, NasBench201
from crlso.supernet.parallel import without_affine

_OUTPUT = 3  # the node that is the cell's output


@cache
def live_edges(codes: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers of the edges on a path of operations other than "none" from input to output, in the order of `EDGES`.

    Raises:
        ProblemError: not one code of an operation for each edge.
    """
    if len(codes) != len(EDGES) or not all(0 <= code < len(OPERATIONS) for code in codes):
        raise ProblemError(f"no cell: {codes}; expected {len(EDGES)} numbers from 0 to {len(OPERATIONS) - 1}")
    edges = [edge for edge, code in enumerate(codes) if OPERATIONS[code] != "none"]
    reached, needed = {0}, {_OUTPUT}
    for _ in range(_OUTPUT):  # no path is longer
        reached |= {EDGES[edge][1] for edge in edges if EDGES[edge][0] in reached}
        needed |= {EDGES[edge][0] for edge in edges if EDGES[edge][1] in needed}
    return tuple(edge for edge in edges if EDGES[edge][0] in reached and EDGES[edge][1] in needed)


class SharedCell(nn.Module):
    """All operations on all edges; those without weights are the same for every edge."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            nn.ModuleDict({name: build_operation(name, channels) for name in OPERATIONS if name != "none"})
            for _ in EDGES
        )

    def forward(self, x: Float[Tensor, "B C H W"], codes: tuple[int, ...]) -> Float[Tensor, "B C H W"]:
        values: list[Tensor | None] = [x, None, None, None]
        for edge in live_edges(codes):
            source, target = EDGES[edge]
            term = self.edges[edge][OPERATIONS[codes[edge]]](values[source])  # type: ignore[index]
            before = values[target]
            values[target] = term if before is None else before + term
        output = values[_OUTPUT]
        return torch.zeros_like(x) if output is None else output


class NasBench201Supernet(nn.Module):
    """From images [B, C, H, W] and the operations of a cell to logits [B, num_classes]."""

    def __init__(
        self,
        num_classes: int,
        input_shape: tuple[int, int, int],
        *,
        width: int = WIDTH,
        cells: int = CELLS,
        stem_stride: int = 1,
        affine: bool = False,
    ) -> None:
        """Lay out three stages of cells.

        Args:
            num_classes: logits.
            input_shape: (C, H, W) of one image.
            width: channels after the stem.
            cells: copies of the cell a stage, N in the paper.
            stem_stride: of the first convolution; 2 halves the image for all cells, at a quarter of the time.
            affine: whether normalisations have weights and biases, shared as all weights are.
        """
        super().__init__()
        self.num_classes, self.in_channels, self.width, self.copies = num_classes, input_shape[0], width, cells
        convolution = nn.Conv2d(input_shape[0], width, 3, stride=stem_stride, padding=1, bias=False)
        self.stem = nn.Sequential(convolution, nn.BatchNorm2d(width))
        self.blocks = nn.ModuleList(ResidualBlock(width * 2**stage) for stage in range(2))
        self.cells = nn.ModuleList(SharedCell(width * 2**stage) for stage in range(3) for _ in range(cells))
        self.head = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * width, num_classes),
        )
        _use_batch_statistics(self)
        if not affine:
            without_affine(self)

    def forward(self, x: Float[Tensor, "B C H W"], codes: Sequence[int]) -> Float[Tensor, "B K"]:
        """Logits of the network whose cell has these operations.

        Args:
            x: images.
            codes: an operation for each edge, as `NasBench201.choices` gives them.
        """
        cell = tuple(codes)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # the order in which CPUs convolve fastest
        for number, shared in enumerate(self.cells):
            stage, copy = divmod(number, self.copies)
            if stage and not copy:
                x = self.blocks[stage - 1](x)
            x = shared(x, cell)
        logits: Tensor = self.head(x)
        return logits


def slice_network(supernet: NasBench201Supernet, codes: Sequence[int]) -> NasBench201Network:
    """The stand-alone network of a cell with copies of the shared weights; its running statistics are fresh.

    Its stem has the supernet's stride, all else is the benchmark's.
    """
    arch = NasBench201().from_choices(codes)
    network = NasBench201Network(
        arch, supernet.num_classes, supernet.in_channels, width=supernet.width, cells=supernet.copies
    )
    network.stem[0].stride = supernet.stem[0].stride
    pairs: list[tuple[nn.Module, nn.Module]] = [(supernet.stem, network.stem), (supernet.head, network.head)]
    pairs += [(block, network.get_submodule(f"block{n}")) for n, block in enumerate(supernet.blocks, start=1)]
    for number, cell in enumerate(supernet.cells):
        stage, copy = divmod(number, supernet.copies)
        for edge, code in enumerate(codes):
            if OPERATIONS[code] != "none":
                own = cell.get_submodule(f"edges.{edge}.{OPERATIONS[code]}")
                pairs.append((own, network.get_submodule(f"stage{stage}.{copy}.operations.{edge}")))
    for shared, alone in pairs:
        alone.load_state_dict(shared.state_dict(), strict=False)  # what is missing are statistics and affine ones
    return network.to(supernet.head[-1].weight)  # type: ignore[arg-type]


def _use_batch_statistics(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
