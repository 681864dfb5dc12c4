"""Regularised evolution: the oldest die, the best of a tournament has the child, the child is one change away."""

import math

import numpy as np

from crlso.search.peers.evolution import Evolution
from crlso.search.pool import Pool
from crlso.spaces import get_space

SPACE = get_space("nasbench201")
POOL = Pool(SPACE)


def told(strategy, archs, values):
    for arch, value in zip(archs, values, strict=True):
        strategy.tell(arch, value)
    return strategy


def test_the_oldest_die_however_good():
    archs = POOL.sample(8, np.random.default_rng(0))
    strategy = told(Evolution(SPACE, population=5), archs, [9.0, 8.0, 7.0, *[1.0] * 5])
    assert [member.arch for member in strategy.alive] == archs[3:]


def test_failures_neither_live_nor_age_the_others():
    archs = POOL.sample(6, np.random.default_rng(0))
    strategy = told(Evolution(SPACE, population=5), archs, [5.0, 4.0, 3.0, math.nan, 2.0, math.nan])
    assert [member.values[0] for member in strategy.alive] == [5.0, 4.0, 3.0, 2.0]


def test_a_tournament_of_all_makes_the_best_a_parent():
    archs = POOL.sample(20, np.random.default_rng(1))
    strategy = told(Evolution(SPACE, population=20, tournament=20), archs, map(float, range(20)))
    assert set(strategy.ask(5)) <= set(POOL.neighbours(archs[-1]))


def test_a_tournament_of_one_makes_anybody_a_parent():
    archs = POOL.sample(20, np.random.default_rng(1))
    strategy = told(Evolution(SPACE, population=20, tournament=1), archs, map(float, range(20)))
    children = strategy.ask(40)
    of_the_best = sum(child in POOL.neighbours(archs[-1]) for child in children)
    assert all(any(child in POOL.neighbours(arch) for arch in archs) for child in children)
    assert of_the_best < 10


def test_children_of_a_member_whose_neighbours_are_known_are_mutated_again():
    center = POOL.classes[1000]
    around = POOL.neighbours(center)
    strategy = told(Evolution(SPACE, tournament=1000), [*around, center], [*[1.0] * len(around), 2.0])
    beyond = {far for near in around for far in POOL.neighbours(near)}
    children = strategy.ask(5)
    assert len(children) == 5
    assert set(children) <= beyond - {center, *around}


def test_finds_the_optimum_of_an_additive_benchmark(accuracy):
    strategy = Evolution(SPACE, seed=0)
    best = max(map(accuracy, POOL.classes))
    while len(strategy.told) < 300:
        for arch in strategy.ask(5):
            strategy.tell(arch, accuracy(arch))
    assert max(member.values[0] for member in strategy.told) == best
