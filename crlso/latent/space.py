"""A latent space without performance labels, and what labels then make of it.

Where a space is too large to enumerate, what there is to learn without any training run is learned first: to write
architectures drawn at random, and their exact costs. It takes minutes once; afterwards labels move the latents to where
volume matching wants them (`geometry`) in seconds, from the same start for every set of labels. A teacher ranks some
thousands of the sampled classes for that (`teacher`), as there are always few labels here.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from crlso.architecture import Architecture, Graph
from crlso.latent.config import PRESETS, LatentConfig
from crlso.latent.features import cost_features, decision_features, operation_features
from crlso.latent.objectives import Targets
from crlso.latent.population import Population, count_costs, label_classes, sample_population
from crlso.latent.teacher import teach
from crlso.latent.trainer import Progress, Trainer
from crlso.latent.vae import GraphVAE, PolarHead
from crlso.spaces import SearchSpace

_TAUGHT = 20_000
"""Sampled classes that the teacher ranks."""

_GENTLE = 0.4
"""Share of the learning rate with which labels move latents: more of it unlearns how to decode."""


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """Encoder and decoder of a space, and the classes they have seen.

    Attributes:
        space: of the architectures.
        vae: the networks; without labels its concave ensemble is untrained.
        population: what was trained on.
        costs: exact costs of its classes; no column where crlso knows no networks of the space.
    """

    space: SearchSpace
    vae: GraphVAE
    population: Population
    costs: Float[np.ndarray, "K C"]

    @torch.no_grad()
    def encode(self, architectures: Sequence[Architecture]) -> Float[Tensor, "B Z"]:
        """Latents; twins have the same one."""
        graphs = self.vae.collate(self.space.canonical(arch).graph for arch in architectures)
        return self.vae.encode(graphs.to(self.vae.radius.device))

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "B Z"]) -> list[Architecture]:
        """The most likely valid architecture at each point."""
        nodes, edges = self.vae.decoder(z)
        return self.space.decode(nodes.cpu().numpy(), edges.cpu().numpy())

    @torch.no_grad()
    def decode_distinct(self, z: Float[Tensor, "B Z"]) -> list[Architecture]:
        """The different architectures among those that `decode` gives, in the order in which they come first."""
        nodes, edges = self.space.masked(*(logits.cpu().numpy() for logits in self.vae.decoder(z)))
        rows = np.hstack([nodes, edges.reshape(len(edges), -1)]).astype(np.uint8)  # a schema has at most 255 types
        first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
        return [self.space.from_graph(Graph(nodes[row], edges[row])) for row in first]

    def classes_with(
        self, architectures: Sequence[Architecture], most: int
    ) -> tuple[Population, Float[np.ndarray, "K C"]]:
        """So many of the classes, each of them once, and those of further architectures; with their costs."""
        some = self.population.representatives[:most]
        there = {arch.key for arch in some}
        new = {arch.key: self.space.canonical(arch) for arch in architectures if arch.key not in there}
        representatives = (*some, *new.values())
        index = {arch.key: row for row, arch in enumerate(representatives)}
        population = Population(representatives, np.ones(len(index), dtype=np.int64), index)
        return population, np.vstack([self.costs[: len(some)], count_costs(self.space, new.values())])

    def tuned(
        self, architectures: Sequence[Architecture], values: Float[np.ndarray, "D"], *, epochs: int = 30, seed: int = 0
    ) -> LatentSpace:
        """The space after labels have moved its latents and taught its concave ensemble.

        Args:
            architectures: with a label; their classes need not be of the population.
            values: larger is better.
            epochs: over the classes that the teacher ranks.
            seed: of order and noise.
        """
        device = self.vae.radius.device
        population, costs = self.classes_with(architectures, _TAUGHT)
        labels = label_classes(population, architectures, values)
        extra = teacher_blocks(population, self.space, costs)
        with threadpool_limits(torch.get_num_threads()):
            taught = teach(population, self.space.schema, labels.values, labels.known, extra)
        everyone = np.ones(len(population), dtype=bool)
        targets = Targets(population, self.space.schema, taught, everyone, costs, device)
        vae = deepcopy(self.vae).requires_grad_(True)
        rate = _GENTLE * vae.config.learning_rate
        vae.config = vae.config.model_copy(update={"epochs": epochs, "learning_rate": rate})
        graphs = vae.collate(arch.graph for arch in population.representatives)
        trainer = Trainer(vae, targets, graphs, seed, device)
        trainer.fit()
        vae.config = self.vae.config
        with torch.no_grad():
            scores = vae.score(vae.encode(graphs.subset(torch.from_numpy(np.flatnonzero(labels.known))).to(device)))
        vae.calibration.fit(scores.cpu().numpy(), labels.values[labels.known])
        return replace(self, vae=vae.requires_grad_(False))


def untrained(
    space: SearchSpace, config: LatentConfig, *, seed: int = 0, device: torch.device | str = "cpu"
) -> LatentSpace:
    """What `explore` starts from: a sample of the space with its costs, and networks with initial weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = GraphVAE(config, space.schema).to(device)
    population = sample_population(space, config.population, seed)  # takes longer, so that faults show before
    return LatentSpace(space, vae, population, count_costs(space, population.representatives))


def explore(
    space: SearchSpace,
    config: LatentConfig | None = None,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> LatentSpace:
    """Learn a latent space from architectures drawn at random, without a single label.

    Args:
        space: too large to enumerate, or not.
        config: settings; the preset `large` when left out.
        seed: of the draws, the initial weights, the order and the noise.
        device: where to train.
        progress: called after each epoch.
        checkpoint: where the state is kept after each epoch, if anywhere.
        resume: continue from there.

    Raises:
        BundleError: there is nothing to resume.
    """
    config, place = config or PRESETS["large"], torch.device(device)
    latent = untrained(space, config, seed=seed, device=place)
    vae, population = latent.vae, latent.population
    none, unknown = np.full(len(population), np.nan), np.zeros(len(population), dtype=bool)
    targets = Targets(population, space.schema, none, unknown, latent.costs, place)
    graphs = vae.collate(arch.graph for arch in population.representatives)
    vae.decoder.settle(targets.graphs)
    if isinstance(vae.head, PolarHead):
        vae.head.hold()
    trainer = Trainer(vae, targets, graphs, seed, place, f"{space.name} {seed} {config.model_dump_json()}")
    if resume and checkpoint is not None:
        trainer.resume(checkpoint)
    trainer.fit(checkpoint, progress)
    vae.enclose(graphs.to(place))
    vae.requires_grad_(False)
    return latent


def teacher_blocks(
    population: Population, space: SearchSpace, costs: Float[np.ndarray, "K C"]
) -> list[Float[np.ndarray, "K _"]]:
    """What a teacher of a large space looks at beside edges and paths."""
    graphs = [arch.graph for arch in population.representatives]
    return [
        operation_features(graphs, space.schema),
        decision_features(population.representatives, space),
        cost_features(costs),
    ]
