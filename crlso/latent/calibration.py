"""From scores to the metric's own unit without losing concavity.

If s is concave and T concave and non-decreasing, T∘s is concave. T is the least-squares fit of

    T(s) = c - Σ_k w_k max(0, s_k - s),    w_k ≥ 0,                                                             (1)

a non-negative least-squares problem. Above the last knot T is flat: no prediction exceeds what the data bear out.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor, nn

_LEVELS = np.concatenate([np.linspace(0.02, 0.9, 16), 1 - np.logspace(-1.1, -3.6, 16)])
"""Quantiles of the scores that carry a knot: half of them resolve the best tenth, where proposals come from."""


class ConcaveCalibration(nn.Module):
    """Equation (1) with its knots as buffers."""

    knots: Tensor
    weights: Tensor
    ceiling: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots", torch.zeros(len(_LEVELS)))
        self.register_buffer("weights", torch.zeros(len(_LEVELS)))
        self.register_buffer("ceiling", torch.zeros(()))

    def fit(self, scores: Float[np.ndarray, "K"], values: Float[np.ndarray, "K"]) -> None:
        """Fit T to pairs of score and value, larger being better in both."""
        knots = np.quantile(scores, _LEVELS)
        floor = values.min()  # shifts the values so that the ceiling is a non-negative unknown too
        features = np.column_stack([np.ones(len(scores)), -np.maximum(knots - scores[:, None], 0.0)])
        solution, _ = nnls(features, values - floor, maxiter=100 * len(_LEVELS))
        self.knots.copy_(torch.from_numpy(knots))
        self.weights.copy_(torch.from_numpy(solution[1:]))
        self.ceiling.fill_(float(solution[0] + floor))

    def forward(self, scores: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """Scores in the metric's unit, larger being better."""
        value: Tensor = self.ceiling - (self.knots - scores.unsqueeze(-1)).clamp(min=0.0) @ self.weights
        return value
