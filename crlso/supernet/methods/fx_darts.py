"""FX-DARTS: entropy-based shrinking of a supernet, as reconstructed from its abstract [Rao2025]_.

The paper removes the sharing of topology between cells and the rule of two operations a node, shrinks the supernet by
an entropy, and derives architectures of different cost in one search. Its equations and schedules were not to be had.
**This is a reconstruction**: weights are softmaxes over all pairs that enter a node, the penalty is their entropy

    H = -Σ_nodes Σ_k w_k log w_k,

and all else is what the same authors' released code does with sparsity (`crlso.supernet.methods.deleting`). Both are
symmetric, concave and least where one pair of a node is left. So no figure of the paper is to be compared with.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. FX-DARTS: Designing Topology-unconstrained Architectures with Differentiable
   Architecture Search and Entropy-based Super-network Shrinking. arXiv 2504.20079.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor

from crlso.supernet.choice import entropy
from crlso.supernet.methods.deleting import Deleting, DeletingSettings


class FxDartsSettings(DeletingSettings):
    """The entropy of a node with two equal pairs is 0.69, with three 1.10."""

    name: Literal["fx-darts"] = "fx-darts"
    start: float = 0.0
    enough: PositiveFloat = 0.9


class FxDarts(Deleting):
    """`Deleting` by entropy."""

    name = "fx-darts"
    form = "softmax"

    def penalty(self, w: Float[Tensor, "cells pairs"]) -> Float[Tensor, ""]:
        """H."""
        return entropy(w)
