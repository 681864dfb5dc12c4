"""Architectures with the weights of a supernet: no training, at the price of a ranking that has to be measured.

An architecture's network is a copy of the supernet in which all other pairs are dead. Its normalisations have to be
estimated anew, because running statistics of the supernet are those of the mixture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import ProblemError
from crlso.supernet.cell import Cell, MixedCell, Triple
from crlso.supernet.network import FlexibleSupernet
from crlso.supernet.parallel import ParallelOperation


def inherit(supernet: FlexibleSupernet, kept: Sequence[Cell]) -> FlexibleSupernet:
    """A copy of the supernet in which only some pairs live.

    Raises:
        ProblemError: there are not as many cells, or one of these pairs is dead in the supernet.
    """
    if len(kept) != len(supernet.cells):
        raise ProblemError(f"an architecture of {len(kept)} cells for a supernet of {len(supernet.cells)}")
    network = deepcopy(supernet)
    for cell, (nodes, alive) in enumerate(zip(kept, supernet.alive, strict=True)):
        wanted = {Triple(node, source, name) for node, pairs in enumerate(nodes, start=2) for name, source in pairs}
        living = {triple for triple, lives in zip(supernet.triples, alive, strict=True) if lives}
        if missing := wanted - living:
            raise ProblemError(f"cell {cell} of the supernet has no living {min(missing)}: the search deleted it")
        network.kill(cell, [number for number, triple in enumerate(supernet.triples) if triple not in wanted])
    return network


@torch.no_grad()
def recalibrate(
    network: FlexibleSupernet,
    weights: Sequence[Float[Tensor, "pairs"]],
    images: Iterable[Float[Tensor, "B C H W"]],
) -> None:
    """Set running statistics to the mean over some batches, as the network normalises in training.

    The network is in evaluation mode afterwards.
    """
    parts = [part for part in network.modules() if isinstance(part, MixedCell | ParallelOperation | nn.BatchNorm2d)]
    before = [part.momentum for part in parts]
    network.train()
    for count, x in enumerate(images, start=1):
        for part in parts:
            part.momentum = 1 / count
        network(x, weights)
    for part, momentum in zip(parts, before, strict=True):
        part.momentum = momentum
    network.eval()
