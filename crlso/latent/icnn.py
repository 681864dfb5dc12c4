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

import numpy as np
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
    """An ensemble's mean score and its gradient in closed form, on the host and in numpy.

    An ascent evaluates few points many times: what torch spends on each call would be a third of the time. Features are
    rows and points are columns, so that the layers of all members read z in one matrix product and are then views of
    its result, and nothing is copied. Positive weights are exponentiated once.
    """

    @torch.no_grad()
    def __init__(self, ensemble: ConcaveEnsemble) -> None:
        members, dims, hidden = ensemble.inputs[0].shape
        self.activation = ensemble.activation
        self.shape = len(ensemble.inputs), members, hidden
        self.inputs = torch.cat([x.mT.reshape(-1, dims) for x in ensemble.inputs]).cpu().numpy()
        self.outputs = np.ascontiguousarray(self.inputs.T)
        self.biases = torch.cat([bias.flatten() for bias in ensemble.biases]).unsqueeze(1).cpu().numpy()
        self.weights = [(log_weights.exp() / 2).cpu().numpy() for log_weights in ensemble.log_weights]
        self.output = (ensemble.log_output.exp() / (-2 * members)).cpu().numpy()
        self.linear = -ensemble.linear.mean(dim=0).mT.cpu().numpy()
        self.curvature = -float(ensemble.log_curvature.exp().mean())
        self.offset = -float(ensemble.offset.mean())

    def __call__(self, z: Float[np.ndarray, "Z B"]) -> tuple[Float[np.ndarray, "B"], Float[np.ndarray, "Z B"]]:
        """Score and gradient at every point, a column each."""
        features = self.inputs @ z
        features += self.biases
        layers = features.reshape(*self.shape, -1)
        slopes = [self._activate(layers[0])]
        for h, x, weights in zip(layers, layers[1:], self.weights, strict=False):
            x += weights.transpose(0, 2, 1) @ h
            slopes.append(self._activate(x))
        score = (self.output @ layers[-1]).sum(axis=(0, 1)) + self.offset
        score += (z * (self.linear + self.curvature / 2 * z)).sum(axis=0)
        np.multiply(slopes[-1], self.output.transpose(0, 2, 1), out=layers[-1])  # now layers hold what flows back
        for n in range(len(self.weights) - 1, -1, -1):
            np.matmul(self.weights[n], layers[n + 1], out=layers[n])
            layers[n] *= slopes[n]
        gradient = self.outputs @ features
        gradient += self.linear + self.curvature * z
        return score, gradient

    def _activate(self, x: Float[np.ndarray, "M H B"]) -> Float[np.ndarray, "M H B"]:
        """Put twice the activation in the place of x and return twice its slope: the halves are in the weights."""
        slope: Float[np.ndarray, "M H B"]
        if self.activation == "squareplus":
            slope = x * x
            slope += _SMOOTHING
            np.sqrt(slope, out=slope)
            x += slope
            np.divide(x, slope, out=slope)
        else:
            slope = np.where(x > 0, x.dtype.type(2.0), x.dtype.type(2 * _SLOPE))
            x *= slope
        return slope
