"""The graph variational autoencoder with a concave performance head, the network of a latent space.

Two ways to place an architecture in the latent ball: `PolarHead` for volume matching, a learned direction times a
learned radius with Gaussian noise of fixed width around it, and `GaussianHead` for the published objective, mean
and log-variance of a normal posterior.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.special import gammaincinv
from torch import Tensor, nn

from crlso.architecture import Graph, Schema
from crlso.graphs import Collated, Forest, Padded
from crlso.latent.calibration import ConcaveCalibration
from crlso.latent.config import LatentConfig
from crlso.latent.decoder import GraphDecoder
from crlso.latent.encoder import GraphEncoder
from crlso.latent.geometry import Ball
from crlso.latent.icnn import ConcaveEnsemble
from crlso.latent.places import PlacedEncoder
from crlso.latent.population import COSTS

_INNER_START = 1.5  # logit of the initial radius: most of a ball's volume is near its surface
_NORMAL_MASS = 0.999  # share of the normal prior inside the ball of the published objective


@dataclass(frozen=True)
class Posterior:
    """Where architectures lie in latent space: normal, with a diagonal covariance."""

    mean: Float[Tensor, "B Z"]
    log_variance: Float[Tensor, "B Z"]

    def sample(self, generator: torch.Generator, scale: float) -> Float[Tensor, "B Z"]:
        """One draw each, the deviation multiplied by a scale."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean + scale * noise * (self.log_variance / 2).exp()

    def divergence(self) -> Float[Tensor, ""]:
        """Kullback-Leibler divergence from N(0, 1), mean over graphs and dimensions as CR-LSO takes it."""
        return -0.5 * (1 + self.log_variance - self.mean.square() - self.log_variance.exp()).mean()


class PolarHead(nn.Module):
    """Features → direction times radius; the posterior's unit variance is scaled when it is sampled.

    In many dimensions next to all volume is near the surface: there `by_volume` learns the share of the ball's volume
    that lies further inside instead of the radius, and quantiles as far apart as a half and a thousandth stay so.
    """

    def __init__(self, hidden: int, ball: Ball, by_volume: bool = False) -> None:
        super().__init__()
        self.ball = ball
        self.power = 1 / ball.dims if by_volume else 1
        self.direction = nn.Linear(hidden, ball.dims)
        self.radius = nn.Linear(hidden, 1)

    def forward(self, features: Float[Tensor, "B H"]) -> Posterior:
        """Means inside the ball by construction."""
        level = F.logsigmoid(self.radius(features) + _INNER_START)
        radius = self.ball.radius * (self.power * level).exp()
        mean = radius * F.normalize(self.direction(features), dim=-1)
        return Posterior(mean, torch.zeros_like(mean))

    def hold(self) -> None:
        """Keep one radius for all: without labels nothing should move it, least of all to where it stays."""
        nn.init.zeros_(self.radius.weight)
        nn.init.zeros_(self.radius.bias)
        self.radius.requires_grad_(False)


class GaussianHead(nn.Module):
    """Features → mean and log-variance, CR-LSO's posterior."""

    def __init__(self, hidden: int, ball: Ball) -> None:
        super().__init__()
        self.mean = nn.Linear(hidden, ball.dims)
        self.log_variance = nn.Linear(hidden, ball.dims)

    def forward(self, features: Float[Tensor, "B H"]) -> Posterior:
        """Means anywhere: only the divergence keeps them near the prior."""
        return Posterior(self.mean(features), self.log_variance(features))


class GraphVAE(nn.Module):
    """Encoder, decoder, concave ensemble, its calibration and the cost heads.

    Attributes:
        costs: latent → logarithms of `COSTS`, less `cost_center` and divided by `cost_scale`; untrained in a space
            whose networks crlso does not know.
    """

    cost_center: Tensor
    cost_scale: Tensor
    radius: Tensor

    def __init__(self, config: LatentConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        ball = latent_ball(config)
        self.schema = schema
        encoder = GraphEncoder if config.encoder == "expressions" else PlacedEncoder
        self.encoder = encoder(config.hidden, schema)
        self.head = (
            PolarHead(config.hidden, ball, config.by_volume)
            if config.objective == "volume-matched"
            else GaussianHead(config.hidden, ball)
        )
        self.register_buffer("radius", torch.tensor(ball.radius))
        self.decoder = GraphDecoder(config.latent, config.decoder_hidden, schema)
        self.ensemble = ConcaveEnsemble(
            config.latent, config.icnn_hidden, config.icnn_layers, config.members, config.icnn_activation
        )
        self.calibration = ConcaveCalibration()
        self.costs = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.SiLU(), nn.Linear(config.hidden, len(COSTS))
        )
        self.register_buffer("cost_center", torch.zeros(len(COSTS)))
        self.register_buffer("cost_scale", torch.ones(len(COSTS)))

    @property
    def ball(self) -> Ball:
        """Where latents lie; reading its radius from a device waits for it."""
        return replace(latent_ball(self.config), radius=float(self.radius))

    def collate(self, graphs: Iterable[Graph]) -> Collated:
        """Canonical graphs as the encoder reads them, on the host."""
        kind: type[Forest] | type[Padded] = Forest if self.config.encoder == "expressions" else Padded
        return kind.of(graphs, self.schema)

    @torch.no_grad()
    def enclose(self, graphs: Collated) -> None:
        """Widen the ball until it holds the graphs' latents: the published objective lets them stray outside."""
        farthest = self.posterior(graphs).mean.norm(dim=-1).max()
        self.radius.copy_(torch.maximum(self.radius, farthest))

    def posterior(self, graphs: Collated) -> Posterior:
        """Where graphs lie."""
        posterior: Posterior = self.head(self.encoder(graphs))
        return posterior

    def encode(self, graphs: Collated) -> Float[Tensor, "B Z"]:
        """Latents of graphs: the posterior's means, moved into the ball if they lie outside."""
        return self.ball.project(self.posterior(graphs).mean)

    def score(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B"]:
        """The ensemble's mean score, concave in z."""
        scores: Tensor = self.ensemble(z)
        return scores.mean(dim=0)

    def predict(self, z: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """f(z), concave, and the members' standard deviation, in the metric's unit with larger being better."""
        scores = self.ensemble(z)
        spread = self.calibration(scores)
        return self.calibration(scores.mean(dim=0)), spread.std(dim=0, correction=0)


def latent_ball(config: LatentConfig) -> Ball:
    """The ball in which a configuration's latents lie."""
    if config.objective == "volume-matched":
        return Ball(config.latent, (config.latent + 2) ** 0.5)
    radius = math.sqrt(2 * gammaincinv(config.latent / 2, _NORMAL_MASS))  # of which chi is the distribution
    return Ball(config.latent, radius, prior="normal")
