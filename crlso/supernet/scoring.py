"""How well a network does on images that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from crlso.supernet.data import Batches

SCORED = 256
"""Images a batch where nothing is learned and batches do not matter."""


class Score(NamedTuple):
    """Over all images.

    Attributes:
        accuracy: percent.
        loss: mean cross-entropy in nats.
    """

    accuracy: float
    loss: float


@torch.no_grad()
def score(forward: Callable[[Tensor], Tensor], batches: Batches) -> Score:
    """Go through the images once.

    Args:
        forward: from images to logits, without noise.
        batches: of images that are normalised and not augmented.
    """
    right = torch.zeros((), device=batches.device)
    loss = torch.zeros((), device=batches.device)
    for x, y in batches.epoch(0):
        logits = forward(x).float()
        right += (logits.argmax(dim=1) == y).sum()
        loss += F.cross_entropy(logits, y, reduction="sum")
    count = len(batches.labels)
    return Score(100.0 * float(right) / count, float(loss) / count)
