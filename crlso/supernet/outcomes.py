"""What instances of operations hand to the nodes of a cell, and how a node adds it up.

A `Source` is an image that operations read, with what several of them make of it. An outcome is what one of them
brings: an image, or a normalised projection that nobody has computed yet. `combine` adds up all outcomes that enter a
node (`crlso.supernet.kernels`, equation 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from crlso.supernet.kernels import image_of, interlace, mix, mix_fixed, phases, pixels_of, weighted_sum


class Source:
    """An image [B, C, H, W] that operations read, and what several of them make of it, each computed once."""

    def __init__(self, x: Float[Tensor, "B C H W"]) -> None:
        self.x = x

    @cached_property
    def positive(self) -> Tensor:
        """After ReLU, [B, C, H, W]."""
        return F.relu(self.x)

    @property
    def in_phases(self) -> bool:
        """Whether phases are the faster way to dilated convolutions, and there are any."""
        return self.x.device.type == "cpu" and self.x.shape[2] % 2 == self.x.shape[3] % 2 == 0

    @cached_property
    def phases(self) -> Tensor:
        """The positive part by phases, [4B, C, H/2, W/2]."""
        return phases(self.positive)

    @cached_property
    def sparse(self) -> Tensor:
        """Every second pixel of every second row of the positive part, [B, C, ⌈H/2⌉, ⌈W/2⌉]."""
        return self.positive[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)

    @cached_property
    def halved(self) -> Tensor:
        """Even and odd pixels side by side, [B, 2C, ⌈H/2⌉, ⌈W/2⌉]: what a factorised reduction reads."""
        shifted = F.pad(self.positive, (-1, 1, -1, 1))
        return torch.cat([self.sparse, shifted[:, :, ::2, ::2]], dim=1)


class Projected(NamedTuple):
    """An instance's output, not computed yet: the normalised projection of features."""

    features: Float[Tensor, "B D H W"]
    projection: Float[Tensor, "C D"]
    mean: Float[Tensor, "C"]
    variance: Float[Tensor, "C"]
    phased: bool


Outcome: TypeAlias = Projected | Tensor


def combine(
    weights: Sequence[Float[Tensor, ""]], outcomes: Sequence[Outcome], training: bool, momentum: float
) -> Float[Tensor, "B C H W"]:
    """Σ_q w_q o_q over Q ≥ 1 outcomes of one size, images or projections.

    Args:
        weights: w.
        outcomes: o.
        training: whether to normalise by the batch's statistics rather than by running ones.
        momentum: share of this batch in running statistics; 0 leaves them as they are.
    """
    images: list[tuple[Tensor, Tensor]] = []
    projected: dict[tuple[int, bool], list[tuple[Tensor, Projected]]] = {}
    for weight, outcome in zip(weights, outcomes, strict=True):
        if isinstance(outcome, Projected):
            projected.setdefault((outcome.features.shape[1], outcome.phased), []).append((weight, outcome))
        else:
            images.append((weight, outcome))
    parts = []
    for (_, phased), terms in projected.items():
        part = project(terms, training, momentum)
        parts.append(interlace(part) if phased else part)
    if images:
        scalars, values = zip(*images, strict=True)
        parts.append(weighted_sum(torch.stack(scalars), values))
    total: Tensor = sum(parts[1:], parts[0])
    return total


def project(
    terms: Sequence[tuple[Float[Tensor, ""], Projected]], training: bool, momentum: float, rectified: bool = False
) -> Float[Tensor, "B C H W"]:
    """The weighted sum of projections whose features are of one size, in the same order of pixels.

    Args:
        terms: each with its weight.
        training: as for `combine`.
        momentum: as for `combine`.
        rectified: whether the positive part of the sum is wanted.
    """
    weights, outcomes = torch.stack([weight for weight, _ in terms]), [outcome for _, outcome in terms]
    projections = torch.stack([term.projection for term in outcomes])
    features = [pixels_of(term.features) for term in outcomes]
    means, variances = [term.mean for term in outcomes], [term.variance for term in outcomes]
    if training:
        total, mean, variance = mix(weights, projections, features, rectified)
        if momentum:
            count = len(total)
            torch._foreach_lerp_(means, list(mean.unbind()), momentum)
            torch._foreach_lerp_(variances, list((variance * (count / max(1, count - 1))).unbind()), momentum)
    else:
        total = mix_fixed(weights, projections, features, torch.stack(means), torch.stack(variances))
        total = F.relu(total) if rectified else total
    return image_of(total, outcomes[0].features)
