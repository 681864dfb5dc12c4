"""BANANAS [White2021]_: an ensemble of networks on the path encoding, independent Thompson sampling, mutations.

Every candidate's utility is a draw from the normal distribution that has the mean and the spread of the five networks'
predictions (independent Thompson sampling). Settings of the paper where they serve: five members, 20 units a layer,
Adam at 0.01, absolute errors. Deviations, each because it found the optimum of NAS-Bench-201 sooner: the networks have
3 layers, not 10 to 20; they fit normal scores, where the paper's percentage loss needs a lower bound of the error that
only those know who know the benchmark; the choices are features beside the paths; where all classes can be listed, all
of them are candidates, not only mutations of the best.

.. [White2021] C. White, W. Neiswanger, Y. Savani. BANANAS: Bayesian Optimization with Neural Architectures for Neural
   Architecture Search. AAAI 2021.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from crlso.architecture import Architecture
from crlso.search.paths import Path, encode_paths, frequent_paths
from crlso.search.peers.surrogate import SurrogateStrategy, one_hot_choices

_MEMBERS = 5
_LAYERS = 3
_WIDTH = 20
_LEARNING_RATE = 0.01
_EPOCHS = 100
_BATCH = 64
_SAMPLE = 1000  # architectures among which paths are counted
_MOST_PATHS = 500  # of the encoding


class Bananas(SurrogateStrategy):
    """Thompson sampling from an ensemble of small networks."""

    name = "bananas"

    def encode(self, arch: Architecture) -> Float[np.ndarray, "F"]:
        """Paths and choices of the class's representative."""
        graph = self.space.canonical(arch).graph
        return np.hstack([encode_paths(graph, self.space.schema, self._columns), one_hot_choices(self, arch)])

    def utilities(
        self,
        known: Float[np.ndarray, "D F"],
        scores: Float[np.ndarray, "D"],
        candidates: Float[np.ndarray, "K F"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "K"]:
        """Independent Thompson sampling."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        ensemble = Ensemble(known.shape[1], generator)
        ensemble.fit(torch.from_numpy(known).float(), torch.from_numpy(scores).float(), generator)
        with torch.no_grad():
            predicted = ensemble(torch.from_numpy(candidates).float().expand(_MEMBERS, -1, -1)).double().numpy()
        drawn: Float[np.ndarray, "K"] = rng.normal(predicted.mean(axis=0), predicted.std(axis=0))
        return drawn

    @cached_property
    def _columns(self) -> dict[Path, int]:
        """The truncated encoding's paths."""
        sample = self.pool.sample(_SAMPLE, np.random.default_rng(self.seed))
        graphs = (self.space.canonical(arch).graph for arch in sample)
        return frequent_paths(graphs, self.space.schema, _MOST_PATHS)


class Ensemble:
    """Perceptrons trained side by side, each on minibatches of its own."""

    def __init__(self, features: int, generator: torch.Generator) -> None:
        """Glorot's uniform weights, biases of zero."""
        sizes = [features, *[_WIDTH] * _LAYERS, 1]
        self.weights, self.biases = list[Tensor](), list[Tensor]()
        for fan_in, fan_out in pairwise(sizes):
            drawn = 2 * torch.rand(_MEMBERS, fan_in, fan_out, generator=generator) - 1
            self.weights.append((drawn * (6 / (fan_in + fan_out)) ** 0.5).requires_grad_())
            self.biases.append(torch.zeros(_MEMBERS, 1, fan_out, requires_grad=True))

    def __call__(self, x: Float[Tensor, "M B F"]) -> Float[Tensor, "M B"]:
        """Each member's predictions for its own rows."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.baddbmm(bias, x, weight).relu()
        return torch.baddbmm(self.biases[-1], x, self.weights[-1]).squeeze(-1)

    def fit(self, x: Float[Tensor, "D F"], y: Float[Tensor, "D"], generator: torch.Generator) -> None:
        """Minimise the mean absolute error."""
        adam = torch.optim.Adam([*self.weights, *self.biases], _LEARNING_RATE, fused=True)
        batches = max(1, len(x) // _BATCH)
        for _ in range(_EPOCHS):
            order = torch.rand(_MEMBERS, len(x), generator=generator).argsort(dim=1)
            for rows in order[:, : batches * _BATCH].chunk(batches, dim=1):
                adam.zero_grad()
                (self(x[rows]) - y[rows]).abs().mean(dim=1).sum().backward()
                adam.step()
