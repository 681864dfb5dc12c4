"""The latent ball, its uniform prior, and the place of an architecture in it: volume matching.

A concave function has one maximiser, and gradient ascent finds it. If the prior fills the region around the maximiser
but no architecture does, what is decoded there is arbitrary; in a plain CR-LSO it ranks in the thousands of 15,625.
So let the prior mass of every superlevel set equal the share of architectures above that level. A ball of radius r
holds (r/R)^Z of the ball of radius R, hence an architecture better than all but a share q belongs at

    r(q) = R q^(1/Z),                                                                                            (1)

the best near the centre, the many bad ones outside, and no hollow left. The score that the concave head learns is
its negative square in units of R,

    s(q) = -q^(2/Z),                                                                                             (2)

which a strictly concave function can equal everywhere, and which still tells the best few apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Ball:
    """{z : |z| ≤ R} in Z dimensions, with a prior on it.

    The uniform prior is that of volume matching; R = √(Z + 2) gives each of its coordinates unit variance. The
    normal one, moved inside where it reaches out of the ball, is that of the published objective.
    """

    dims: int
    radius: float
    prior: Literal["uniform", "normal"] = "uniform"

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n Z"]:
        """Draws from the prior, on the generator's device."""
        if self.prior == "normal":
            return self.project(torch.randn(n, self.dims, generator=generator, device=generator.device))
        share = torch.rand(n, 1, generator=generator, device=generator.device)
        return self.radius * share ** (1 / self.dims) * self._directions(n, generator)

    def sample_inner(self, n: int, generator: torch.Generator) -> Float[Tensor, "n Z"]:
        """Points with uniform radius: they visit the centre, where the prior has next to no mass."""
        share = torch.rand(n, 1, generator=generator, device=generator.device)
        return self.radius * share * self._directions(n, generator)

    def spread(self, z: Float[Tensor, "B Z"], generator: torch.Generator) -> Float[Tensor, "B Z"]:
        """The same directions, at the radii that the uniform prior has."""
        share = torch.rand(len(z), 1, generator=generator, device=z.device)
        return self.radius * share ** (1 / self.dims) * F.normalize(z, dim=-1)

    def project(self, z: Float[Tensor, "... Z"]) -> Float[Tensor, "... Z"]:
        """The nearest points of the ball."""
        norm = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
        inside: Tensor = z * (norm.reciprocal() * self.radius).clamp(max=1.0)
        return inside

    def share(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B"]:
        """Prior mass of the ball around the centre that reaches z: the inverse of equation (1)."""
        share: Tensor = (z.norm(dim=-1) / self.radius) ** self.dims
        return share

    def radius_at(self, quantile: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Equation (1)."""
        radius: Tensor = self.radius * quantile ** (1 / self.dims)
        return radius

    def _directions(self, n: int, generator: torch.Generator) -> Float[Tensor, "n Z"]:
        return F.normalize(torch.randn(n, self.dims, generator=generator, device=generator.device), dim=-1)


def score_at(quantile: Float[Tensor, "..."], dims: int) -> Float[Tensor, "..."]:
    """Equation (2)."""
    return -(quantile ** (2 / dims))


def quantile_at(score: Float[Tensor, "..."], dims: int) -> Float[Tensor, "..."]:
    """The inverse of equation (2); scores above zero, beyond the best, count as just below it."""
    nearly_best = 1e-6  # the power's slope is unbounded at zero for Z < 2 and useless for Z > 2
    return (-score).clamp(min=nearly_best) ** (dims / 2)


def class_quantiles(
    values: Float[np.ndarray, "K"], mass: Int[np.ndarray, "K"], known: Bool[np.ndarray, "K"]
) -> Float[np.ndarray, "K"]:
    """Share of architectures that are better, half of the own class included; 1 where the value is unknown.

    Args:
        values: larger is better; equal values share one quantile.
        mass: number of architectures a class stands for.
        known: classes whose value counts.
    """
    levels, inverse = np.unique(-values[known], return_inverse=True)
    at_level = np.bincount(inverse, weights=mass[known], minlength=len(levels))
    above = np.cumsum(at_level) - at_level / 2
    quantiles = np.ones(len(values))
    quantiles[known] = (above / at_level.sum())[inverse]
    return quantiles
