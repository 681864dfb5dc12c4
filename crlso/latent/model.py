"""A trained latent space, ready to be asked: the networks, the latents of what it knows, and the measurements.

Inside, larger is better; `predict` answers in the metric's own unit and direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from crlso.architecture import Architecture
from crlso.latent.geometry import Ball
from crlso.latent.population import cost_names, count_costs
from crlso.latent.vae import GraphVAE
from crlso.networks import costs
from crlso.spaces import SearchSpace
from crlso.tables import Metric, Table


@dataclass(frozen=True, eq=False)
class Model:
    """What `load_bundle` reads and `train` returns.

    Attributes:
        name: the bundle's directory, or what the caller named it.
        space: of the architectures.
        metric: what f predicts.
        vae: the networks, in evaluation mode.
        known: representatives of the classes that the model was trained on.
        latents: their places, one row each.
        table: measurements of the metric, where the model comes with any.
        manifest: where the model comes from and how good it is.
        digest: SHA-256 that names all of this.
    """

    name: str
    space: SearchSpace
    metric: Metric
    vae: GraphVAE
    known: tuple[Architecture, ...]
    latents: Float[Tensor, "K Z"]
    table: Table | None
    manifest: Mapping[str, Any]
    digest: str

    @property
    def ball(self) -> Ball:
        """Where latents lie."""
        return self.vae.ball

    @property
    def sign(self) -> float:
        """+1 where more of the metric is better, -1 where less is."""
        return self.metric.sign

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Row of `latents` by isomorphism class."""
        return {arch.key: row for row, arch in enumerate(self.known)}

    @cached_property
    def known_costs(self) -> Mapping[str, Float[np.ndarray, "K"]]:
        """Exact costs of the known architectures by name; none where crlso knows no networks of the space."""
        return dict(zip(cost_names(self.space), count_costs(self.space, self.known).T, strict=True))

    def costs(self, arch: Architecture) -> Mapping[str, int]:
        """Exact costs of one architecture by name; none likewise."""
        names = cost_names(self.space)
        counted = costs(arch) if names else None
        return {name: getattr(counted, name) for name in names}

    @cached_property
    def known_predictions(self) -> Float[np.ndarray, "K"]:
        """Surrogate values at the latents of the known architectures, in the metric's unit."""
        return self.predict(self.latents)[0].cpu().numpy()

    @torch.no_grad()
    def encode(self, architectures: Sequence[Architecture]) -> Float[Tensor, "B Z"]:
        """Latents; twins have the same one."""
        rows = [self.row_of.get(arch.key) for arch in architectures]
        if None not in rows:
            return self.latents[torch.tensor(rows, dtype=torch.long)]
        graphs = self.vae.collate(self.space.canonical(arch).graph for arch in architectures)
        return self.vae.encode(graphs.to(self.latents.device))

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "B Z"]) -> list[Architecture]:
        """The most likely valid architecture at each point."""
        nodes, edges = self.vae.decoder(z)
        return self.space.decode(nodes.cpu().numpy(), edges.cpu().numpy())

    @torch.no_grad()
    def predict(self, z: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """f(z) and the members' standard deviation in the metric's unit."""
        mean, std = self.vae.predict(z)
        return self.sign * mean, std

    def measured(self, arch: Architecture) -> float | None:
        """The table's value of exactly this architecture, None where there is none."""
        return None if self.table is None else self.table.value(arch, self.metric.name)
