"""NSGA-II [Deb2002]_ on the choices of an architecture, by pymoo [Blank2020]_.

Parents come from binary tournaments of the survivors, by dominance and then by crowding distance; a child is a uniform
crossover of two with a mutation of each choice at probability 1/L, L decisions. Survival is the original's, elitist, by
rank and crowding. Deviations: the survivors are chosen among everything told, so that generations are as small as the
questions (steady state); there are eight, which after 100 queries dominate as much as 5 or 12 do and more than 20, 30
or 50. A child that is told or asked for already is bred anew.
Where only some architectures can be evaluated and a child is none of them, the nearest open one by number of different
choices takes its place.

.. [Deb2002] K. Deb, A. Pratap, S. Agarwal, T. Meyarivan. A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II.
   IEEE Transactions on Evolutionary Computation 6(2), 2002.
.. [Blank2020] J. Blank, K. Deb. pymoo: Multi-Objective Optimization in Python. IEEE Access 8, 2020.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.variable import Choice
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.mutation.rm import ChoiceRandomMutation

from crlso.architecture import Architecture
from crlso.exceptions import ArchitectureError
from crlso.search.strategy import Strategy, class_values

_BROODS = 50  # bred for one question before the rest is left to chance


class Nsga2(Strategy):
    """Non-dominated sorting, crowding, crossover and mutation.

    Attributes:
        population: how many survive, the parents of the next question.
    """

    name = "nsga2"
    most_objectives: ClassVar[int] = sys.maxsize

    def __init__(self, *args: Any, population: int = 8, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.population = population

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Children of the survivors."""
        taken, children = self.seen, list[Architecture]()
        if not self.measured:
            return children
        problem, algorithm = self._algorithm(rng)
        survivors = self._survivors(problem, algorithm, rng)
        for _ in range(_BROODS):
            brood = algorithm.mating.do(problem, survivors, 2 * n, algorithm=algorithm, random_state=rng)
            for row in brood.get("X"):
                child = self._admit([int(code) for code in row], taken, rng)
                if child is not None and len(children) < n:
                    children.append(child)
                    taken.add(child.key)
            if len(children) == n:
                break
        return children

    def _algorithm(self, rng: np.random.Generator) -> tuple[Problem, NSGA2]:
        """The problem as pymoo sees it, and its algorithm with operators for categories."""
        variables = {str(place): Choice(options=range(len(names))) for place, names in enumerate(self.space.options)}
        algorithm = NSGA2(
            pop_size=self.population,
            crossover=UniformCrossover(),
            mutation=ChoiceRandomMutation(),
        )
        algorithm.tournament_type = "comp_by_dom_and_crowding"
        algorithm.random_state = rng
        return Problem(vars=variables, n_obj=self.objectives), algorithm

    def _survivors(self, problem: Problem, algorithm: NSGA2, rng: np.random.Generator) -> Population:
        archs, values = class_values(self.measured)
        choices = np.array([self.space.choices(arch) for arch in archs])
        told = Population.new("X", choices, "F", -values)  # pymoo minimises
        return algorithm.survival.do(problem, told, n_survive=self.population, random_state=rng)

    def _admit(self, choices: Sequence[int], taken: AbstractSet[str], rng: np.random.Generator) -> Architecture | None:
        """The child, or the open candidate nearest to it; None where it is told or asked for already."""
        try:
            child = self.pool.admit(self.space.from_choices(choices))
        except ArchitectureError:
            child = None
        if child is None and self.pool.classes is not None:
            return self._nearest(np.array(choices), taken, rng)
        return None if child is None or child.key in taken else child

    def _nearest(
        self, choices: Int[np.ndarray, "L"], taken: AbstractSet[str], rng: np.random.Generator
    ) -> Architecture | None:
        classes, encoded = self._listed
        distance = (encoded != choices).sum(axis=1) + rng.random(len(classes))  # breaks ties
        return next((classes[row] for row in np.argsort(distance).tolist() if classes[row].key not in taken), None)

    @cached_property
    def _listed(self) -> tuple[tuple[Architecture, ...], Int[np.ndarray, "D L"]]:
        """The candidates' classes and their choices."""
        classes = self.pool.classes or ()
        return classes, np.array([self.space.choices(arch) for arch in classes])
