"""Input-convex networks [Amos2017]_ and the concave ensemble made of them.

One member is g(z) = v·h_L + a·z + κ|z|²/2 + c with

    h_1 = s(X_1 z + b_1),    h_{l+1} = s(W_l h_l + X_{l+1} z + b_{l+1}),    W_l ≥ 0, v ≥ 0, κ ≥ 0,              (1)

s convex and non-decreasing, so g is convex in z (Proposition 1 of [Amos2017]_) and the score -g is concave. CR-LSO
clamps W at zero after each optimiser step: between a step and its clamp nothing is convex, and half of the initial
weights die at the first. Here W = exp(V), v = exp(·), κ = exp(·) are positive whatever the optimiser does. Two
further deviations: (1) adds before the activation, as Amos et al. do, where CR-LSO adds two activations; and κ
makes every member strictly concave, so that it has one maximiser and a finite certificate. The default
s is the squareplus (x + √(x² + b))/2, smooth, so that the certificate closes at the maximiser, and cheap; with CR-LSO's
LeakyReLU g is piecewise linear but for κ.

.. [Amos2017] B. Amos, L. Xu, J. Z. Kolter. Input Convex Neural Networks. ICML 2017.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["squareplus", "leaky_relu"]

_SMOOTHING = 0.44  # b of the squareplus: its curvature at zero is that of a softplus three times as sharp as usual
_SLOPE = 0.01  # of the LeakyReLU, as in CR-LSO


class ConcaveEnsemble(nn.Module):
    """M input-convex networks evaluated as one; scores are their negatives, concave in z."""

    def __init__(
        self, latent: int, hidden: int, layers: int, members: int, activation: Activation = "squareplus"
    ) -> None:
        super().__init__()
        self.activation = activation
        even = -math.log(hidden)  # exp(even) averages a layer, which keeps the scale of convex features
        self.inputs = nn.ParameterList(torch.randn(members, latent, hidden) / latent**0.5 for _ in range(layers))
        self.biases = nn.ParameterList(torch.randn(members, 1, hidden) / 2 for _ in range(layers))
        self.log_weights = nn.ParameterList(even + torch.randn(members, hidden, hidden) / 2 for _ in range(layers - 1))
        self.log_output = nn.Parameter(even + torch.randn(members, 1, hidden) / 2)
        self.linear = nn.Parameter(torch.zeros(members, 1, latent))
        self.log_curvature = nn.Parameter(torch.full((members, 1), -math.log(latent)))
        self.offset = nn.Parameter(torch.zeros(members, 1))

    def forward(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "M B"]:
        """Score of every member at every point."""
        scores, _ = self._propagate(z)
        return scores

    @torch.no_grad()
    def mean_and_gradient(self, z: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B Z"]]:
        """Mean score and its gradient in closed form: a third of the time that autograd takes on small batches."""
        scores, pre_activations = self._propagate(z)
        slopes = [self._slope(x) for x in pre_activations]
        up = self.log_output.exp() * slopes[-1]
        gradient = torch.baddbmm(self.linear, up, self.inputs[-1].mT)
        for layer in range(len(slopes) - 2, -1, -1):
            up = (up @ self.log_weights[layer].exp().mT) * slopes[layer]
            gradient = torch.baddbmm(gradient, up, self.inputs[layer].mT)
        curvature = self.log_curvature.exp().mean()
        return scores.mean(dim=0), -(gradient.mean(dim=0) + curvature * z)

    def _propagate(self, z: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores, and what every layer's activation was given."""
        repeated = z.expand(len(self.offset), *z.shape)
        x = torch.baddbmm(self.biases[0], repeated, self.inputs[0])
        pre_activations = [x]
        for log_weights, inputs, bias in zip(self.log_weights, self.inputs[1:], self.biases[1:], strict=True):
            x = torch.baddbmm(torch.baddbmm(bias, repeated, inputs), self._activate(x), log_weights.exp())
            pre_activations.append(x)
        convex = (self._activate(x) * self.log_output.exp()).sum(-1) + self.linear.squeeze(1) @ z.T
        scores = -(convex + self.log_curvature.exp() * z.square().sum(-1) / 2 + self.offset)
        return scores, pre_activations

    def _activate(self, x: Tensor) -> Tensor:
        if self.activation == "squareplus":
            return (x + (x * x + _SMOOTHING).sqrt()) / 2
        return F.leaky_relu(x, _SLOPE)

    def _slope(self, x: Tensor) -> Tensor:
        if self.activation == "squareplus":
            return (1 + x * (x * x + _SMOOTHING).rsqrt()) / 2
        return torch.where(x > 0, 1.0, _SLOPE)
