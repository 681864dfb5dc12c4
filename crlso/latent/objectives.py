"""What a latent space is trained for: volume matching, or CR-LSO's published objective.

Volume matching asks that the prior mass of every superlevel set of the concave head equal the share of architectures
above that level (`geometry`). Four losses ask for it, on top of reconstruction; the score alone already makes proposals
good, the others sharpen the ranking and what the maximiser decodes to (docs/results/manifold_gap.md):

- *radius*: architecture a lies at r(q_a); its direction is free;
- *score*: every member gives the latent of a the score s(q_a);
- *volume*: over draws of the prior the sorted scores of every member equal the sorted scores of the architectures,
  the squared one-dimensional Wasserstein distance;
- *tessellation*: every point of the ball decodes to the architecture whose latent is nearest, so that what is decoded
  at z has a latent close to z and the concave head says nearly the same of both.

Radius and score are asked for in their own units, which tell the best apart, and in quantiles, which tell the rest
apart. CR-LSO [Rao2022]_ has reconstruction, a Kullback-Leibler term with β = 0.005 and the mean squared error of one
input-convex network at the sampled latent, whose targets are accuracies as fractions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crlso.architecture import Schema
from crlso.graphs import Collated, Padded
from crlso.latent.geometry import class_quantiles, quantile_at, score_at
from crlso.latent.population import Population
from crlso.latent.vae import GraphVAE, Posterior

Losses = dict[str, Float[Tensor, ""]]

_INNER_SHARE = 0.5  # of the tessellation's points have uniform radius; the rest are drawn from the prior


class Targets:
    """What is to be learned of every class of a population, as tensors on one device.

    Attributes:
        labelled: whether any class has a value; where none has, architectures and costs are all there is to learn.
    """

    def __init__(
        self,
        population: Population,
        schema: Schema,
        values: Float[np.ndarray, "K"],
        known: Bool[np.ndarray, "K"],
        costs: Float[np.ndarray, "K C"],
        device: torch.device,
    ) -> None:
        """Turn values into quantiles and costs into standardised logarithms.

        Args:
            population: the classes.
            schema: of their graphs.
            values: larger is better; only known ones count.
            known: classes with a value.
            costs: positive costs of the representatives.
            device: where the training takes place.
        """

        def tensor(array: Float[np.ndarray, "*S"]) -> Float[Tensor, "*S"]:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        self.graphs = Padded.of((arch.graph for arch in population.representatives), schema).to(device)
        logs = np.log(costs)
        self.cost_center, self.cost_scale = tensor(logs.mean(axis=0)), tensor(logs.std(axis=0))
        self.costs = (tensor(logs) - self.cost_center) / self.cost_scale
        self.labelled = bool(known.any())
        if not self.labelled:
            return
        quantiles = class_quantiles(values, population.mass, known)
        weights = np.sqrt(population.mass) * known  # between one vote a class and one vote an architecture
        self.fractions = tensor(np.where(known, values, 0.0) / np.abs(values[known]).max())
        self.quantiles = tensor(quantiles)
        self.weights = tensor(weights / weights[known].mean())
        self.ranking = tensor(np.sort(np.repeat(quantiles[known], population.mass[known])))


class VolumeMatching:
    """The losses of the module's header, one call a mini-batch."""

    def __init__(self, model: GraphVAE, targets: Targets, graphs: Collated) -> None:
        self.model = model
        self.ball = model.ball
        self.targets = targets
        self.graphs = graphs
        self.latents: Tensor  # of all classes, at most an epoch old: where the tessellation looks for the nearest

    def start_epoch(self) -> None:
        """Encode all classes afresh."""
        if self.model.config.tessellation:
            with torch.no_grad():
                self.latents = self.model.encode(self.graphs)

    def __call__(self, batch: Int[Tensor, "B"], posterior: Posterior, generator: torch.Generator) -> Losses:
        """Losses of a mini-batch of classes, each a mean in its own unit."""
        config, ball, targets = self.model.config, self.ball, self.targets
        mean, quantiles, weights = posterior.mean, targets.quantiles[batch], targets.weights[batch]
        if config.tessellation:
            self.latents[batch] = mean.detach()
        scores = self.model.ensemble(mean)
        drawn = ball.sample(config.batch, generator)
        levels = torch.linspace(0, len(targets.ranking) - 1, config.batch, device=mean.device).long()
        wanted = score_at(targets.ranking[levels], ball.dims).flip(0)
        radius_error = mean.norm(dim=-1) - ball.radius_at(quantiles)
        return {
            "reconstruction": self.model.decoder.cross_entropy(
                posterior.sample(generator, config.posterior_std), targets.graphs.subset(batch)
            ),
            "radius": (weights * radius_error.square()).mean(),
            "score": (weights * (scores - score_at(quantiles, ball.dims)).square()).mean(),
            "quantile": (weights * (ball.share(mean) - quantiles).square()).mean()
            + (weights * (quantile_at(scores, ball.dims) - quantiles).square()).mean(),
            "volume": (self.model.ensemble(drawn).sort(dim=1).values - wanted).square().mean(),
            **({"tessellation": self._tessellation(drawn, generator)} if config.tessellation else {}),
        }

    def _tessellation(self, drawn: Float[Tensor, "B Z"], generator: torch.Generator) -> Float[Tensor, ""]:
        inner = int(_INNER_SHARE * len(drawn))
        points = torch.cat([self.ball.sample_inner(inner, generator), drawn[inner:]])
        squared = torch.addmm(self.latents.square().sum(dim=1), points, self.latents.T, alpha=-2)
        nearest = squared.min(dim=1).indices  # twice as fast as argmin on a CPU
        return self.model.decoder.cross_entropy(points, self.targets.graphs.subset(nearest))


class PublishedObjective:
    """CR-LSO's G-VAE loss; deviations: expressions instead of both edge directions, see `encoder`."""

    def __init__(self, model: GraphVAE, targets: Targets, graphs: Collated) -> None:
        self.model = model
        self.targets = targets
        self.graphs = graphs

    def start_epoch(self) -> None:
        """Nothing is kept between steps."""

    def __call__(self, batch: Int[Tensor, "B"], posterior: Posterior, generator: torch.Generator) -> Losses:
        """Losses of a mini-batch of classes, each a mean in its own unit."""
        targets = self.targets
        z = posterior.sample(generator, self.model.config.posterior_std)
        error = self.model.ensemble(z) - targets.fractions[batch]
        return {
            "reconstruction": self.model.decoder.cross_entropy(z, targets.graphs.subset(batch)),
            "score": (targets.weights[batch] * error.square()).mean(),
            "divergence": posterior.divergence(),
        }


class Reconstruction:
    """Without labels: every architecture is decoded from the noisy surroundings of its latent.

    Volume matching gives architectures their radius once there are labels. Until then any radius may become theirs:
    one is drawn every time, and what labels move later is decoded as well as before.
    """

    def __init__(self, model: GraphVAE, targets: Targets, graphs: Collated) -> None:  # noqa: ARG002  as its peers
        self.model = model
        self.ball = model.ball
        self.targets = targets

    def start_epoch(self) -> None:
        """Nothing is kept between steps."""

    def __call__(self, batch: Int[Tensor, "B"], posterior: Posterior, generator: torch.Generator) -> Losses:
        """Losses of a mini-batch of classes, each a mean in its own unit."""
        somewhere = Posterior(self.ball.spread(posterior.mean, generator), posterior.log_variance)
        z = somewhere.sample(generator, self.model.config.posterior_std)
        return {"reconstruction": self.model.decoder.cross_entropy(z, self.targets.graphs.subset(batch))}


Objective = VolumeMatching | PublishedObjective | Reconstruction

OBJECTIVES: dict[str, Callable[[GraphVAE, Targets, Collated], Objective]] = {
    "volume-matched": VolumeMatching,
    "cr-lso": PublishedObjective,
}
