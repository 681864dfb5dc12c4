"""The architectures that a latent space is learned from, one entry an isomorphism class.

Twins share a latent, so that a class is one point: its representative is what the decoder learns to write, its mass
is the number of architectures it stands for, its value the mean of its labelled members.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float, Int

from crlso.architecture import Architecture
from crlso.networks import costs, has_networks
from crlso.spaces import SearchSpace

COSTS = ("params", "flops")
"""What is counted of every architecture that a network is known for."""


@dataclass(frozen=True)
class Population:
    """Classes of a space in a fixed order.

    Attributes:
        representatives: the canonical architecture of each class.
        mass: how many architectures each class has.
        index: position of a class by its key.
    """

    representatives: tuple[Architecture, ...]
    mass: Int[np.ndarray, "K"]
    index: Mapping[str, int]

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.representatives)


@lru_cache(maxsize=4)
def population_of(space: SearchSpace) -> Population:
    """All classes of a space that can be enumerated.

    Raises:
        ProblemError: the space is too large to walk through.
    """
    return _population(space, space.enumerate())


def sample_population(space: SearchSpace, n: int, seed: int) -> Population:
    """The classes of so many uniform draws, or of all architectures where the space has no more.

    Where draws often meet the same class, as in NAS-Bench-101, whose matrices mostly prune to few vertices, classes one
    change away from what is there join until there are n.
    """
    rng = np.random.default_rng(seed)
    drawn = space.sample(min(n, space.size), rng)
    return _population(space, drawn if len(drawn) < n else chain(drawn, _around(space, drawn, n, rng)))


def _around(
    space: SearchSpace, drawn: Sequence[Architecture], n: int, rng: np.random.Generator
) -> Iterator[Architecture]:
    """Architectures of new classes, each one change away from a random one that is there, until n classes are."""
    first = {arch.key: arch for arch in drawn}
    there = list(first.values())
    row = 0
    order = rng.permutation(len(there)).tolist()
    while len(first) < n and row < len(order):
        new = [other for other in space.neighbours(there[order[row]]) if other.key not in first]
        fresh = list({other.key: other for other in new}.values())[: n - len(first)]
        first |= {other.key: other for other in fresh}
        order += range(len(there), len(there) + len(fresh))
        there += fresh
        row += 1
        yield from fresh


def _population(space: SearchSpace, architectures: Iterable[Architecture]) -> Population:
    mass: dict[str, int] = {}
    first: dict[str, Architecture] = {}
    for arch in architectures:
        mass[arch.key] = mass.get(arch.key, 0) + 1
        first.setdefault(arch.key, arch)
    representatives = tuple(space.canonical(arch) for arch in first.values())
    index = {key: position for position, key in enumerate(mass)}
    return Population(representatives, np.array(list(mass.values())), index)


def cost_names(space: SearchSpace) -> tuple[str, ...]:
    """What can be counted of a space's architectures: nothing where crlso knows no networks of them."""
    return COSTS if has_networks(space.name) else ()


def count_costs(space: SearchSpace, architectures: Iterable[Architecture]) -> Float[np.ndarray, "K C"]:
    """Exact costs, in the order of `cost_names`."""
    names = cost_names(space)
    if not names:
        return np.zeros((len(list(architectures)), 0))
    rows = [[getattr(cost, name) for name in names] for cost in map(costs, architectures)]
    return np.array(rows, dtype=np.float64).reshape(-1, len(names))


@dataclass(frozen=True)
class Labels:
    """Measured values by class, larger is better.

    Attributes:
        values: mean over the labelled members, NaN where there is none.
        counts: number of labelled members.
    """

    values: Float[np.ndarray, "K"]
    counts: Int[np.ndarray, "K"]

    @property
    def known(self) -> Bool[np.ndarray, "K"]:
        """Which classes have a label."""
        return self.counts > 0


def label_classes(
    population: Population, architectures: Sequence[Architecture], values: Float[np.ndarray, "D"]
) -> Labels:
    """Average the labels of each class."""
    rows = np.array([population.index[arch.key] for arch in architectures])
    counts = np.bincount(rows, minlength=len(population))
    sums = np.bincount(rows, weights=values, minlength=len(population))
    with np.errstate(invalid="ignore"):
        return Labels(sums / counts, counts)
