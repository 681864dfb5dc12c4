"""The contract of a search strategy: ask for architectures, tell what training them gave.

A strategy is a function of its seed and of what it was told. Whatever is random in its n-th question comes from
a generator seeded by (seed, n), so that a strategy restored from its record asks what the undisturbed one would have
asked. It sees no value that it was not told: a table is known to it only as `candidates`, the architectures that can
be evaluated.

Inside, larger is better; who measures something of which less is better tells its negative.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.search.pool import Pool
from crlso.spaces import SearchSpace


@dataclass(frozen=True)
class Told:
    """One measurement: an architecture and a value for each objective, NaN where training failed."""

    arch: Architecture
    values: tuple[float, ...]


class Strategy(ABC):
    """Base of all strategies: keeps the record; `propose` is what they differ in.

    Attributes:
        pool: what may be asked for.
        told: measurements in the order in which they came.
        pending: architectures asked for and not told yet.
    """

    name: ClassVar[str]
    most_objectives: ClassVar[int] = 1

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        candidates: Sequence[Architecture] | None = None,
        objectives: int = 1,
    ) -> None:
        """Start with an empty record.

        Args:
            space: of the architectures.
            seed: of everything random.
            candidates: architectures that can be evaluated; all of the space when left out.
            objectives: how many values `tell` takes.

        Raises:
            ProblemError: the strategy does not take so many objectives, or there is no candidate.
        """
        if not 1 <= objectives <= self.most_objectives:
            raise ProblemError(
                f"strategy {self.name} takes {self.most_objectives} objective(s), not {objectives}: "
                "name one that takes more, such as crlso"
            )
        self.space = space
        self.seed = seed
        self.objectives = objectives
        self.pool = Pool(space, candidates)
        self.told: list[Told] = []
        self.pending: list[Architecture] = []

    @abstractmethod
    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """At most n architectures of the pool, of distinct classes that are neither told nor pending."""

    def ask(self, n: int = 1) -> list[Architecture]:
        """What to evaluate next; fewer than n only when the pool is exhausted.

        What a strategy leaves open, because it has been told too little or has run out of ideas, is drawn at random.
        """
        rng = np.random.default_rng((self.seed, len(self.told) + len(self.pending)))
        asked = self.propose(n, rng) if self.told else []
        if len(asked) < n:
            taken = self.seen | {arch.key for arch in asked}
            asked = asked + self.pool.sample(n - len(asked), rng, without=taken)
        self.pending += asked
        return asked

    def tell(self, arch: Architecture, *values: float) -> None:
        """Report measurements, one for each objective; NaN for a training that failed.

        Raises:
            ProblemError: the number of values is not that of the objectives, one is infinite, or the
                architecture is of another space.
        """
        if arch.space != self.space.name:
            raise ProblemError(f"told an architecture of {arch.space}: this search is in {self.space.name}")
        if len(values) != self.objectives or any(math.isinf(value) for value in values):
            raise ProblemError(f"told {values}: expected {self.objectives} finite value(s), or NaN for a failure")
        self.told.append(Told(arch, tuple(float(value) for value in values)))
        self.pending = [other for other in self.pending if other != arch]

    @property
    def seen(self) -> set[str]:
        """Classes told or pending, which are not asked again."""
        return {told.arch.key for told in self.told} | {arch.key for arch in self.pending}

    @property
    def measured(self) -> list[Told]:
        """What was told and is no failure."""
        return [told for told in self.told if not any(math.isnan(value) for value in told.values)]

    def state(self) -> dict[str, Any]:
        """The record as plain JSON values; `restore` takes it back."""
        return {
            "strategy": self.name,
            "seed": self.seed,
            "told": [[told.arch.text, *(None if math.isnan(v) else v for v in told.values)] for told in self.told],
            "pending": [arch.text for arch in self.pending],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a record; the next question is that of the strategy that wrote it.

        Raises:
            ProblemError: the record is of another strategy or seed.
            ArchitectureError: it names an architecture that the space does not have.
        """
        if (state["strategy"], state["seed"]) != (self.name, self.seed):
            raise ProblemError(
                f"the record is of strategy {state['strategy']}, seed {state['seed']}; "
                f"this is {self.name}, seed {self.seed}"
            )
        self.told, self.pending = [], []
        for text, *values in state["told"]:
            self.tell(self.space.parse(text), *(math.nan if value is None else value for value in values))
        self.pending = [self.space.parse(text) for text in state["pending"]]


def class_values(measured: Sequence[Told]) -> tuple[list[Architecture], Float[np.ndarray, "D Q"]]:
    """Architectures by class, first told first, with the means of what was told of each."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    first: dict[str, Architecture] = {}
    for told in measured:
        rows.setdefault(told.arch.key, []).append(told.values)
        first.setdefault(told.arch.key, told.arch)
    return list(first.values()), np.array([np.mean(values, axis=0) for values in rows.values()])
