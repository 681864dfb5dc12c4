"""Architecture parameters of a flexible supernet: a distribution over the living pairs of every node of every cell.

    w_k = ReLU(α_k) / Σ_l ReLU(α_l)    or    w_k = exp(α_k) / Σ_l exp(α_l),                                      (1)

the sums over the living pairs l of the node that pair k enters: the form of SNPS and DNAD [Rao2025]_, in which a weight
can become zero, and that of DARTS. There is no rule of two pairs a node and no sharing between cells. A pair that is
dead has the weight 0 for good.

`sparsity` and `entropy` are the two measures of how far a node is from keeping one pair alone. Both are symmetric and
concave in w, zero slope at the uniform distribution, least where one weight is 1.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from crlso.supernet.cell import Triple

Form = Literal["relu", "softmax"]

_SCALE = 50.0  # of a weight in the sparsity, the released code's


class Choice(nn.Module):
    """One parameter a pair of each cell, and which pairs are alive.

    Attributes:
        form: which of (1).
        alpha: α.
        alive: of the pairs.
    """

    alive: Tensor
    node: Tensor

    def __init__(self, triples: Sequence[Triple], cells: int, form: Form, start: float) -> None:
        """Begin with every pair alive and all parameters equal.

        Args:
            triples: what the number of a pair means.
            cells: of the supernet.
            form: which of (1).
            start: of all parameters.
        """
        super().__init__()
        first = triples[0].node
        self.form, self._nodes = form, triples[-1].node - first + 1
        self.alpha = nn.Parameter(torch.full((cells, len(triples)), start))
        self.register_buffer("alive", torch.ones(cells, len(triples), dtype=torch.bool))
        self.register_buffer("node", torch.tensor([triple.node - first for triple in triples]))

    def forward(self) -> Float[Tensor, "cells pairs"]:
        """The weights w."""
        if self.form == "relu":
            share = self.alpha.relu() * self.alive
        else:  # the same when a number is taken from all of a node's parameters
            alpha = self.alpha.where(self.alive, -torch.inf)
            index = self.node.expand_as(alpha)
            lowest = alpha.new_full((len(alpha), self._nodes), -torch.inf)
            highest = lowest.scatter_reduce(1, index, alpha.detach(), "amax")
            share = (alpha - highest[:, self.node]).exp()
        return share / share.new_zeros(len(share), self._nodes).index_add(1, self.node, share)[:, self.node]

    def bury(self, dead: Bool[Tensor, "cells pairs"]) -> None:
        """Let pairs be dead from now on."""
        self.alive &= ~dead


def sparsity(w: Float[Tensor, "cells pairs"]) -> Float[Tensor, ""]:
    """S = Σ log(1 + 50 w), what SNPS' code calls FLOPs."""
    return (_SCALE * w).log1p().sum()


def entropy(w: Float[Tensor, "cells pairs"]) -> Float[Tensor, ""]:
    """H = -Σ w log w in nats, 0 for weights that are 0."""
    return -torch.xlogy(w, w.clamp(min=torch.finfo(w.dtype).tiny)).sum()
