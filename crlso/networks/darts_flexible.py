"""Networks of flexible cells [Rao2025]_: the stack of DARTS, each of whose cells has nodes of its own.

Node v of a cell is the mean of its K_v (operation, input) pairs

    n_v = Σ_k c_k o_k(n_{u_k}),    c_k = 1 / K_v,                                                                   (1)

or a sum with other coefficients, such as the weights with which a supernet mixed them. Pools are followed by batch
normalisation without weights and biases. So a node is what it was in the supernet, whose weights sum to one, and its
scale does not grow with the number of its pairs (docs/decisions/0008-nodes-are-means.md). Stem, reductions, drop-path
and auxiliary classifier are those of `crlso.networks.darts`, and so is what the costs count; coefficients are not
trained.

Deviations: the released code adds pairs up when it trains alone, and has no normalisation behind pools there; its three
operations are no pools. Cells from which nothing reaches the result are built and counted, where the released code
deletes them, so that a DARTS genotype costs the same here and there; `SearchSpace.canonical` leaves the lightest in
their place. The number of cells is that of the architecture.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. DNAD: Differentiable Neural Architecture Distillation. arXiv 2504.20080.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.networks.costs import Costs
from crlso.networks.darts import WIDTH, DartsCell, StackedCells, places, stack_costs
from crlso.spaces.darts_flexible import Cell, cells_of

Coefficients = Sequence[Sequence[Sequence[float]]]
"""A factor for each pair: by cell, node and pair, in the order of `cells_of`."""


class FlexibleNetwork(StackedCells):
    """The stack of an architecture's own cells."""

    def __init__(
        self,
        arch: Architecture,
        num_classes: int,
        input_shape: tuple[int, int, int],
        *,
        width: int = WIDTH,
        auxiliary: bool = True,
        coefficients: Coefficients | None = None,
    ) -> None:
        """Lay out the cells.

        Args:
            arch: of a flexible space.
            num_classes: logits.
            input_shape: (C, H, W) of one image.
            width: channels of the first cells.
            auxiliary: whether there is an auxiliary classifier.
            coefficients: the c_k of (1); the mean's when left out.

        Raises:
            ArchitectureError: the architecture is of another space.
            ProblemError: there is not one coefficient a pair.
        """
        cells = cells_of(arch)
        stack = places(width, len(cells))
        factors = _flat(_means(cells) if coefficients is None else coefficients, cells)
        made = (
            DartsCell(cell, place, c, normalise_pools=True)
            for cell, place, c in zip(cells, stack, factors, strict=True)
        )
        super().__init__(stack, made, num_classes, input_shape, auxiliary=auxiliary)


def build(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    width: int = WIDTH,
    auxiliary: bool = True,
    coefficients: Coefficients | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """The network of an architecture, freshly initialised, on any device with the weights that a seed gives."""
    network = FlexibleNetwork(
        arch, num_classes, input_shape, width=width, auxiliary=auxiliary, coefficients=coefficients
    )
    return network.to(device=device, dtype=dtype)


def costs(arch: Architecture, num_classes: int, input_shape: tuple[int, int, int], *, width: int = WIDTH) -> Costs:
    """Exact costs of the network without its auxiliary classifier."""
    cells = cells_of(arch)
    return stack_costs(cells, places(width, len(cells)), num_classes, input_shape)


def _means(cells: tuple[Cell, ...]) -> Coefficients:
    """Equal coefficients with the sum 1 for each node."""
    return [[[1 / len(node)] * len(node) for node in cell] for cell in cells]


def _flat(coefficients: Coefficients, cells: tuple[Cell, ...]) -> list[list[float]]:
    """The coefficients of each cell, all nodes in a row."""
    given = [[len(node) for node in cell] for cell in coefficients]
    wanted = [[len(node) for node in cell] for cell in cells]
    if given != wanted:
        raise ProblemError(f"coefficients for pairs by cell and node: {given}; the architecture has {wanted}")
    return [[float(c) for node in cell for c in node] for cell in coefficients]
