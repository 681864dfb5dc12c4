"""Feature distillation: a supernet's features at three depths are to be those of a trained teacher [Rao2025]_.

    KD = Σ_k r_k MSE(BN(P_k s_k), BN(t_k)),    k = 1 … 3,                                                         (1)

with s_k and t_k the outputs of the last cells before the first reduction, before the second and of all, of the student
and of the teacher, P_k a 1×1 convolution with bias that learns along with the student, and normalisations without
affine parameters. The teacher is frozen and in evaluation mode.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import ProblemError
from crlso.networks.darts import StackedCells

RATIO = (0.2, 0.3, 0.5)
"""r, as released for CIFAR."""


class Distillation(nn.Module):
    """Equation (1), with the teacher inside and the convolutions as its parameters."""

    def __init__(
        self, teacher: StackedCells, student: Sequence[Float[Tensor, "B _ _ _"]], images: Float[Tensor, "B C H W"]
    ) -> None:
        """Bring both sides' features together.

        Args:
            teacher: trained; it is frozen.
            student: features of some images, from which sizes are read.
            images: those images.

        Raises:
            ProblemError: teacher and student do not see images at the same sizes.
        """
        super().__init__()
        self.teacher = teacher.eval().requires_grad_(False)
        given, wanted = [tuple(s.shape[1:]) for s in student], [tuple(t.shape[1:]) for t in self._taught(images)]
        if [size[1:] for size in given] != [size[1:] for size in wanted]:
            raise ProblemError(
                f"the teacher's features are {wanted} (C, H, W) where the supernet's are {given}: heights and widths "
                "must be the same; take a teacher of cells that reduce twice"
            )
        pairs = zip(given, wanted, strict=True)
        self.projections = nn.ModuleList(nn.Conv2d(size[0], other[0], 1) for size, other in pairs).to(images.device)

    def forward(self, x: Float[Tensor, "B C H W"], student: Sequence[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, ""]:
        """KD of the student's features of the images."""
        terms = [
            ratio * F.mse_loss(_normalised(projection(s)), _normalised(t))
            for ratio, projection, s, t in zip(RATIO, self.projections, student, self._taught(x), strict=True)
        ]
        return torch.stack(terms).sum()

    def train(self, mode: bool = True) -> Distillation:
        """Set the mode of all but the teacher."""
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def _taught(self, x: Tensor) -> list[Tensor]:
        return self.teacher.stages(x)


def _normalised(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """By the batch's own statistics, in single precision."""
    return F.batch_norm(x.float(), None, None, training=True)
