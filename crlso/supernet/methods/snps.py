"""SNPS: search by deleting with a penalty on sparsity [Rao2025]_.

The penalty is S = Σ log(1 + 50 w) over all pairs, which the released code calls FLOPs though it counts none. A node
with one pair has 3.9 of it, with two equal ones 6.5, with three 8.6; the released code stops at 250 in 32 nodes, 7.8 a
node.

Deviation: images come in random order, where the released loader does not shuffle them.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor

from crlso.supernet.choice import sparsity
from crlso.supernet.methods.deleting import Deleting, DeletingSettings


class SnpsSettings(DeletingSettings):
    """Of the search without a teacher."""

    name: Literal["snps"] = "snps"
    enough: PositiveFloat = 7.8


class Snps(Deleting):
    """`Deleting` by sparsity."""

    name = "snps"

    def penalty(self, w: Float[Tensor, "cells pairs"]) -> Float[Tensor, ""]:
        """S."""
        return sparsity(w)
