"""The algorithm's parts on architectures: who survives, what is bred, where children that no one can evaluate go."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlso.exceptions import ArchitectureError
from crlso.pareto import hypervolume, pareto_front
from crlso.spaces import NasBench201, get_space
from crlso.spaces.mobile import Mobile

pytest.importorskip("pymoo", reason="pip install 'crlso[bench]'")

from crlso.search.peers.nsga2 import Nsga2
from crlso.search.peers.random import Random

SPACE = get_space("nasbench201")


class Picky(NasBench201):
    """Refuses half of what can be chosen."""

    def from_choices(self, choices):
        if sum(choices) % 2:
            raise ArchitectureError("they do not fit together")
        return super().from_choices(choices)


def survivors(strategy):
    rng = np.random.default_rng(0)
    return strategy._survivors(*strategy._algorithm(rng), rng)


@settings(max_examples=10)
@given(st.integers(0, 2**31 - 1), st.integers(2, 30), st.integers(2, 3))
def test_survivors_are_the_best_fronts(seed, told, objectives):
    rng = np.random.default_rng(seed)
    strategy = Nsga2(SPACE, objectives=objectives)
    classes = {arch.key: arch for arch in SPACE.sample(told, rng)}
    values = rng.integers(0, 5, (len(classes), objectives)).astype(float)
    for arch, row in zip(classes.values(), values, strict=True):
        strategy.tell(arch, *row)
    left = {tuple(row) for row in -survivors(strategy).get("F")}
    assert len(survivors(strategy)) == min(strategy.population, len(classes))
    front = {tuple(row) for row in values[pareto_front(values)]}
    assert left <= front or front <= left


def test_the_ends_of_a_full_front_survive():
    strategy = Nsga2(SPACE, objectives=2)
    archs = list({arch.key: arch for arch in SPACE.sample(60, np.random.default_rng(0))}.values())[:30]
    for place, arch in enumerate(archs):
        strategy.tell(arch, float(place), float(-place))
    left = -survivors(strategy).get("F")[:, 0]
    assert {0.0, 29.0} <= set(left)
    assert len(left) == strategy.population


def test_a_child_mixes_its_parents_and_rarely_more():
    strategy = Nsga2(SPACE, objectives=2)
    mother, father = SPACE.from_choices([3] * 6), SPACE.from_choices([2] * 6)
    strategy.tell(mother, 1.0, 0.0)
    strategy.tell(father, 0.0, 1.0)
    foreign = [sum(code not in (2, 3) for code in SPACE.choices(arch)) for arch in strategy.ask(20)]
    assert np.mean(foreign) < 1.5  # a mutation in six choices, and twins are written with fewer operations


def test_children_that_are_no_candidates_become_their_nearest():
    rng = np.random.default_rng(0)
    candidates = SPACE.sample(40, rng)
    strategy = Nsga2(SPACE, candidates=candidates, objectives=2)
    listed = {SPACE.choices(arch): arch for arch in strategy.pool.classes}
    wanted = next(arch for arch in SPACE.sample(500, rng) if strategy.pool.admit(arch) is None)
    distance = {key: sum(a != b for a, b in zip(key, SPACE.choices(wanted), strict=True)) for key in listed}
    found = strategy._admit(SPACE.choices(wanted), set(), rng)
    assert distance[SPACE.choices(found)] == min(distance.values())
    closest = {listed[key].key for key in distance if distance[key] == min(distance.values())}
    other = strategy._admit(SPACE.choices(wanted), closest, rng)
    assert distance[SPACE.choices(other)] == min(d for key, d in distance.items() if listed[key].key not in closest)
    assert strategy._admit(SPACE.choices(wanted), {arch.key for arch in candidates}, rng) is None


@pytest.mark.parametrize("listed", [True, False])
def test_children_that_are_no_architectures_are_bred_anew(listed):
    space = Picky()
    space.enumerable = listed
    even = [arch for arch in SPACE.enumerate() if sum(SPACE.choices(arch)) % 2 == 0]
    strategy = Nsga2(space, candidates=even if listed else None, objectives=2)
    for place, arch in enumerate(even[100:110]):
        strategy.tell(arch, float(place), float(-place))
    asked = strategy.propose(5, np.random.default_rng(0))
    assert len(asked) == 5
    assert not {arch.key for arch in asked} & strategy.seen


def test_failures_leave_no_offspring():
    strategy = Nsga2(SPACE, objectives=2)
    for arch in SPACE.sample(3, np.random.default_rng(0)):
        strategy.tell(arch, math.nan, 1.0)
    assert strategy.propose(3, np.random.default_rng(0)) == []
    assert len(strategy.ask(3)) == 3


def test_dominates_more_than_chance_does():
    space = Mobile()
    most = np.array([len(names) - 1 for names in space.options])

    def volume(strategy):
        for _ in range(20):
            for arch in strategy.ask(5):
                share = np.array(space.choices(arch)) / most
                strategy.tell(arch, share[:20].mean(), 1 - share[8:].mean())  # at odds in twelve decisions of 28
        return hypervolume(np.array([told.values for told in strategy.told]), np.zeros(2))

    by_chance, bred = ([volume(make(space, seed=seed, objectives=2)) for seed in range(4)] for make in (Random, Nsga2))
    assert min(bred) > max(by_chance)
