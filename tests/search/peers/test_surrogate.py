"""What strategies with a surrogate share: who is a candidate, what is fitted, who is asked."""

import math

import numpy as np
from scipy.stats import norm

from crlso.search.peers.surrogate import SurrogateStrategy, one_hot_choices, open_candidates
from crlso.search.pool import Pool
from crlso.spaces import NasBench201, get_space

SPACE = get_space("nasbench201")
POOL = Pool(SPACE)


class Boundless(NasBench201):
    enumerable = False


class Oracle(SurrogateStrategy):
    """Knows one number of every architecture, and keeps what it was fitted to."""

    name = "oracle"

    def encode(self, arch):
        return np.array([float(len(self.space.canonical(arch).key))])

    def utilities(self, known, scores, candidates, rng):
        self.known, self.scores = known, scores
        return candidates[:, 0]


def test_the_most_useful_of_all_open_classes_are_asked():
    strategy = Oracle(SPACE)
    longest = sorted((len(arch.key) for arch in POOL.classes), reverse=True)
    strategy.tell(POOL.classes[0], 1.0)
    assert [len(arch.key) for arch in strategy.ask(7)] == longest[:7]


def test_fits_normal_scores_of_classes_without_failures():
    strategy = Oracle(SPACE)
    archs = POOL.sample(5, np.random.default_rng(0))
    for arch, value in zip(archs, [-1e6, 3.0, math.nan, 1.0, 2.0], strict=True):
        strategy.tell(arch, value)
    strategy.ask(1)
    np.testing.assert_allclose(strategy.scores, norm.ppf([0.125, 0.875, 0.375, 0.625]))
    np.testing.assert_allclose(strategy.known[:, 0], [len(archs[row].key) for row in (0, 1, 3, 4)])


def test_nothing_measured_leaves_all_to_chance():
    strategy = Oracle(SPACE)
    strategy.tell(POOL.classes[0], math.nan)
    assert len(strategy.ask(3)) == 3
    assert not hasattr(strategy, "scores")


def test_in_a_boundless_pool_candidates_are_near_the_best_or_drawn():
    space = Boundless()
    strategy = Oracle(space)
    best, *others = space.sample(40, np.random.default_rng(0))
    for arch in others:
        strategy.tell(arch, 0.0)
    strategy.tell(best, 1.0)
    candidates = open_candidates(strategy, [best], np.random.default_rng(0))
    keys = {arch.key for arch in candidates}
    assert len(keys) == len(candidates)
    assert not keys & strategy.seen
    assert {arch.key for arch in space.neighbours(best)} - strategy.seen <= keys
    assert len(keys - {arch.key for arch in space.neighbours(best)}) == 200


def test_choices_are_indicators_the_same_for_twins():
    strategy = Oracle(SPACE)
    twin = next(arch for arch in SPACE.enumerate() if arch.text != SPACE.canonical(arch).text)
    arch = SPACE.canonical(twin)
    row = one_hot_choices(strategy, twin)
    np.testing.assert_array_equal(row, one_hot_choices(strategy, arch))
    np.testing.assert_array_equal(row.reshape(6, 5).argmax(axis=1), SPACE.choices(arch))
    assert row.sum() == 6


def test_among_equals_chance_decides():
    def asked(seed):
        strategy = Oracle(SPACE, seed=seed)
        strategy._row = lambda arch: np.zeros(1)
        strategy.tell(POOL.classes[0], 1.0)
        return strategy.ask(3)

    assert asked(0) == asked(0)
    assert asked(0) != asked(1)
