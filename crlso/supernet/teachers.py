"""Whom a distilling search learns from: a network that someone trained, or one that is trained first.

The teacher of DNAD [Rao2025]_ is what an earlier SNPS found. Who has none gets a plain one of as many cells: every node
is the mean of separable convolutions of the cell's two inputs.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.networks.darts import StackedCells
from crlso.spaces.darts import NODES
from crlso.spaces.darts_flexible import FlexibleDarts
from crlso.supernet.data import Images
from crlso.supernet.methods.dnad import DnadSettings
from crlso.supernet.runs import Progress
from crlso.supernet.searching import SearchSettings, flexible_space
from crlso.supernet.standalone import WEIGHTS, TrainingSettings, load_network, train

FOLDER = "teacher"
"""Of the teacher that is trained first, within the search's."""


def plain_teacher(space: FlexibleDarts) -> Architecture:
    """Separable convolutions of both inputs in every node."""
    node = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)]
    return space.from_cells([[node] * NODES] * space.cells)


def load_teacher(folder: Path, images: Images, device: torch.device) -> tuple[StackedCells, str]:
    """A trained network with cells, and the SHA-256 of its weights.

    Raises:
        ProblemError: the folder holds none, or it is not for such images.
    """
    network = load_network(folder, images)
    if not isinstance(network, StackedCells):
        raise ProblemError(f"the network in {folder} has no cells to learn from: train one of a DARTS space")
    return network.to(device), hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def train_teacher(
    settings: SearchSettings,
    images: Images,
    folder: Path,
    device: torch.device,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StackedCells:
    """The plain teacher of a search, trained in a folder of its own; what is there goes on unless it is overwritten.

    Raises:
        ProblemError: the search's method has no teacher, or training failed.
    """
    if not isinstance(method := settings.method, DnadSettings):
        raise ProblemError(f"{settings.method.name} has no teacher; dnad has")
    own = TrainingSettings(
        space=settings.space,
        arch=plain_teacher(flexible_space(settings.space)).text,
        dataset=settings.dataset,
        size=settings.size,
        width=method.teacher_width,
        epochs=method.teacher_epochs,
        learning_rate=method.teacher_learning_rate,
        precision=settings.precision,
        seed=settings.seed,
    )
    train(own, images, folder, device, resume=not overwrite, overwrite=overwrite, progress=progress)
    return load_teacher(folder, images, device)[0]
