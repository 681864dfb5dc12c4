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

    def forward(self, z: Float[Tensor, "*M B Z"]) -> Float[Tensor, "M B"]:
        """Score of every member at every point, or at points of its own."""
        repeated = z.expand(len(self.offset), *z.shape[-2:])
        h, _ = self.activate(torch.baddbmm(self.biases[0], repeated, self.inputs[0]))
        for log_weights, inputs, bias in zip(self.log_weights, self.inputs[1:], self.biases[1:], strict=True):
            h, _ = self.activate(torch.baddbmm(torch.baddbmm(bias, repeated, inputs), h, log_weights.exp()))
        convex = (h * self.log_output.exp()).sum(-1) + (repeated * self.linear).sum(-1)
        return -(convex + self.log_curvature.exp() * z.square().sum(-1) / 2 + self.offset)

    def gathered(self) -> MeanScore:
        """The mean of the members with their present weights, laid out for many evaluations."""
        return MeanScore(self)

    def activate(self, x: Float[Tensor, "*S"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """The activation and its slope."""
        if self.activation == "squareplus":
            root = (x * x + _SMOOTHING).sqrt()
            value = (x + root) / 2
            return value, value / root
        slope = torch.where(x > 0, 1.0, _SLOPE)
        return x * slope, slope


class MeanScore:
    """An ensemble's mean score and its gradient in closed form.

    All members' layers read z in one matrix product, and positive weights are exponentiated once: an ascent of a
    hundred steps takes less than half the time that it takes with autograd.
    """

    @torch.no_grad()
    def __init__(self, ensemble: ConcaveEnsemble) -> None:
        members, dims, hidden = ensemble.inputs[0].shape
        self.activate = ensemble.activate
        self.shape = members, hidden
        self.inputs = torch.cat([x.permute(1, 0, 2).reshape(dims, -1) for x in ensemble.inputs], dim=1)
        self.outputs = self.inputs.T.contiguous()
        self.biases = torch.cat([bias.flatten() for bias in ensemble.biases])
        self.weights = [log_weights.exp() for log_weights in ensemble.log_weights]
        self.transposed = [weights.mT.contiguous() for weights in self.weights]
        self.output = (ensemble.log_output.exp() / members).flatten()
        self.linear = ensemble.linear.mean(dim=0).squeeze(0)
        self.curvature = ensemble.log_curvature.exp().mean()
        self.offset = ensemble.offset.mean()

    @torch.no_grad()
    def __call__(self, z: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B Z"]]:
        """Score and gradient at every point."""
        first, *others = torch.addmm(self.biases, z, self.inputs).split(len(self.output), dim=1)
        h, slope = self.activate(first)
        slopes = [slope]
        for x, weights in zip(others, self.weights, strict=True):
            h, slope = self.activate(x + self._mix(h, weights))
            slopes.append(slope)
        score = h @ self.output + z @ self.linear + self.curvature * z.square().sum(dim=1) / 2 + self.offset
        ups = [slopes[-1] * self.output]
        for slope, weights in zip(slopes[-2::-1], self.transposed[::-1], strict=True):
            ups.append(self._mix(ups[-1], weights) * slope)
        gradient = torch.cat(ups[::-1], dim=1) @ self.outputs + self.linear + self.curvature * z
        return -score, -gradient

    def _mix(self, h: Float[Tensor, "B MH"], weights: Float[Tensor, "M H H"]) -> Float[Tensor, "B MH"]:
        """Each member's features through its own weights."""
        separate = h.unflatten(1, self.shape).transpose(0, 1)
        return torch.bmm(separate, weights).transpose(0, 1).flatten(1)
