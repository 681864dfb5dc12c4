"""DNAD: SNPS that learns from a teacher as well [Rao2025]_.

The task's loss is cross-entropy plus λ times the distance of features from a trained teacher's
(`crlso.supernet.methods.distillation`); all else is SNPS. The teacher of the paper is a network that an earlier SNPS
found, 36 channels wide.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from crlso.networks.darts import StackedCells
from crlso.supernet.choice import sparsity
from crlso.supernet.methods.base import Setup, cross_entropy
from crlso.supernet.methods.deleting import Deleting, DeletingSettings
from crlso.supernet.methods.distillation import Distillation


class DnadSettings(DeletingSettings):
    """Those of SNPS and the weight of distillation.

    Attributes:
        knowledge: λ.
        teacher_width: channels of the first cells of a teacher that is trained first.
        teacher_epochs: of its training.
        teacher_learning_rate: at the beginning.
    """

    name: Literal["dnad"] = "dnad"
    enough: PositiveFloat = 7.8
    knowledge: PositiveFloat = 1.0
    teacher_width: PositiveInt = 36
    teacher_epochs: PositiveInt = 600
    teacher_learning_rate: PositiveFloat = 0.025


class Dnad(Deleting):
    """`Deleting` by sparsity, with a teacher."""

    name = "dnad"

    def __init__(self, settings: DnadSettings, setup: Setup, teacher: StackedCells, images: Tensor) -> None:
        """As `Deleting`.

        Args:
            settings: constants.
            setup: what is searched in.
            teacher: trained on images of that size.
            images: a few of them.

        Raises:
            ProblemError: the teacher does not fit the supernet.
        """
        supernet = setup.supernet
        uniform = torch.ones(len(supernet.cells), len(supernet.triples), device=images.device)
        mode = supernet.training
        with torch.no_grad():
            _, features = supernet.eval().forward_with_features(images, uniform.unbind())
        supernet.train(mode)
        distillation = Distillation(teacher, features, images)
        super().__init__(settings, setup, [distillation.projections])
        self.knowledge, self.distillation = settings.knowledge, distillation
        self.modules["distillation"] = distillation.projections

    def penalty(self, w: Float[Tensor, "cells pairs"]) -> Float[Tensor, ""]:
        """S."""
        return sparsity(w)

    def task_loss(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Cross-entropy + λ KD."""
        with self.setup.precision():
            logits, features = self.supernet.forward_with_features(x, w.unbind())
            distance = self.distillation(x, features)
        loss: Tensor = cross_entropy(logits, y) + self.knowledge * distance
        return loss
