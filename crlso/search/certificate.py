"""How much a concave surrogate could still gain over the latent ball.

A concave f lies below each of its supporting hyperplanes. With a supergradient g at a point z of the ball with
centre 0 and radius R, and any other point s of the ball,

    f(s) ≤ f(z) + ⟨g, s - z⟩ ≤ f(z) + R|g| - ⟨g, z⟩.                                                            (1)

The excess of the right side over f(z) is the Frank-Wolfe gap [Jaggi2013]_: never negative, zero at a maximiser.
Since (1) holds at every point, the least of the bounds that an ascent meets on its way is a bound as well; and a
non-decreasing T turns bounds on f into bounds on T∘f.

.. [Jaggi2013] M. Jaggi. Revisiting Frank-Wolfe: Projection-Free Sparse Convex Optimization. ICML 2013.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_ROUNDING = 1e-5  # relative: float32 projections end this close to the sphere


def frank_wolfe_gap(gradient: Float[Tensor, "B Z"], z: Float[Tensor, "B Z"], radius: float) -> Float[Tensor, "B"]:
    """Gap of (1) at each point, in the unit of f.

    Args:
        gradient: a supergradient of the concave function at each point.
        z: points of the ball.
        radius: R, of a ball around the origin.

    Raises:
        ValueError: a point lies outside the ball; (1) would bound the ball from a point that is not in it.
    """
    if bool((outside := z.norm(dim=-1) > radius * (1 + _ROUNDING)).any()):
        raise ValueError(f"{int(outside.sum())} of {len(z)} points are outside the ball of radius {radius:g}: project")
    return torch.clamp(radius * gradient.norm(dim=-1) - (gradient * z).sum(dim=-1), min=0.0)
