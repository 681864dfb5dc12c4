"""Several concave objectives as one: what latent ascent climbs to reach a Pareto set.

Along a direction λ > 0 the scalarisation [Zhang2020]_ of values y above a reference r is

    s_λ(y) = min_q (y_q - r_q) / λ_q,                                                                             (1)

the length of the ray r + t λ that y dominates. A minimum of concave functions of z is concave in z, so that whatever
holds of one concave score, its certificate included, holds of s_λ(f_1(z), …, f_Q(z)). No direction is arbitrary: with λ
uniform on the positive part of the unit sphere,

    HV(A, r) = π^(Q/2) / (2^Q Γ(Q/2 + 1)) · E_λ max_{y ∈ A} max(s_λ(y), 0)^Q,                                     (2)

the set of maximisers along random directions is the one that gains the most hypervolume.

.. [Zhang2020] R. Zhang, D. Golovin. Random Hypervolume Scalarizations for Provable Multi-Objective Black Box
   Optimization. ICML 2020.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def scalarise(
    values: Float[Tensor, "*#B Q"], reference: Float[Tensor, "Q"], direction: Float[Tensor, "*#B Q"]
) -> Float[Tensor, "*B"]:
    """Equation (1), row by row; the same unit for all objectives is the caller's business, normal scores have it."""
    return ((values - reference) / direction).amin(dim=-1)


def draw_directions(n: int, objectives: int, generator: torch.Generator) -> Float[Tensor, "K Q"]:
    """Unit vectors, uniform on the positive part of the sphere."""
    normal = torch.randn(n, objectives, generator=generator).abs()
    return torch.nn.functional.normalize(normal.clamp(min=torch.finfo(normal.dtype).tiny), dim=-1)
