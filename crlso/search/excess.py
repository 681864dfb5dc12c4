"""How far predicted costs are beyond their limits, and the way back: what bends an ascent where costs are limited.

With c the standardised logarithms of the costs as the heads predict them, [l, u] the limits and far a distance beyond
which nothing pulls any more, since limits may be infinite,

    e(z) = Σ_c clip(l_c - c(z), 0, far) + clip(c(z) - u_c, 0, far).                                               (1)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from crlso.latent.population import COSTS
from crlso.latent.vae import GraphVAE
from crlso.search.problem import Constraint

_MARGIN = 0.02  # limits are aimed at from this far inside, in standard deviations of the logarithmic cost
_FAR = 10.0  # far in (1)


class Excess:
    """The gradient of (1) in closed form, through heads of one hidden layer of SiLU.

    Points are columns, as in `MeanScore`, and each output is how far a cost is beyond one end of its limits.
    """

    @torch.no_grad()
    def __init__(self, vae: GraphVAE, constraints: Sequence[Constraint]) -> None:
        """Lay out the heads.

        Args:
            vae: predicts the costs.
            constraints: those on `COSTS` count; others are ignored.
        """
        first, last = cast(nn.Linear, vae.costs[0]), cast(nn.Linear, vae.costs[2])
        lower, upper = _ends(constraints)
        inside = torch.from_numpy(np.concatenate([lower, -upper])).to(vae.cost_center)
        center, scale = torch.cat([vae.cost_center, -vae.cost_center]), torch.cat([vae.cost_scale, vae.cost_scale])
        biases = torch.cat([-last.bias, last.bias]) + (inside - center) / scale + _MARGIN
        self.inputs, self.input_biases = first.weight.cpu().numpy(), first.bias.unsqueeze(1).cpu().numpy()
        self.outputs = torch.cat([-last.weight, last.weight]).cpu().numpy()
        self.output_biases = biases.unsqueeze(1).cpu().numpy()

    def gradient(self, z: Float[np.ndarray, "Z B"]) -> Float[np.ndarray, "Z B"]:
        """Where the excess grows, at every point."""
        x = self.inputs @ z
        x += self.input_biases
        gate = (np.tanh(x / 2) + 1) / 2
        x *= gate
        beyond = self.outputs @ x + self.output_biases
        pulls = ((beyond >= 0.0) & (beyond <= _FAR)).astype(z.dtype)
        x += gate - x * gate  # the slope of the SiLU
        x *= self.outputs.T @ pulls
        gradient: Float[np.ndarray, "Z B"] = self.inputs.T @ x
        return gradient


def _ends(constraints: Sequence[Constraint]) -> tuple[Float[np.ndarray, "C"], Float[np.ndarray, "C"]]:
    """Logarithms of the least and the most that each of the costs may be."""
    lower, upper = np.zeros(len(COSTS)), np.full(len(COSTS), np.inf)
    for constraint in constraints:
        if constraint.metric in COSTS:
            cost = COSTS.index(constraint.metric)
            lower[cost] = max(lower[cost], constraint.min or 0.0)
            upper[cost] = min(upper[cost], np.inf if constraint.max is None else max(constraint.max, 0.0))
    with np.errstate(divide="ignore"):  # a limit of zero is one of minus infinity in logarithms
        return np.log(lower), np.log(upper)
