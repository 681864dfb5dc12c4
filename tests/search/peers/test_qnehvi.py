"""The fit, the shortlist, and what is asked with them."""

import math
import warnings

import numpy as np
import pytest
import torch

from crlso.pareto import hypervolume
from crlso.spaces import NasBench201, get_space

pytest.importorskip("botorch", reason="pip install 'crlso[bench]'")

from crlso.search.peers import qnehvi  # botorch may be missing
from crlso.search.peers.qnehvi import Qnehvi
from crlso.search.peers.random import Random
from crlso.search.warp import Warp

pytestmark = pytest.mark.usefixtures("interpreted")
SPACE = get_space("nasbench201")


class Boundless(NasBench201):
    enumerable = False


def cost(arch):
    return -float(SPACE.canonical(arch).graph.edge_types.sum())


def volume(strategy, accuracy):
    for size in (10, 5, 5, 5):
        for arch in strategy.ask(size):
            strategy.tell(arch, accuracy(arch), cost(arch))
    return hypervolume(np.array([told.values for told in strategy.told]), np.array([60.0, -20.0]))


def test_values_that_are_all_the_same_are_no_obstacle(accuracy):
    strategy = Qnehvi(SPACE, candidates=SPACE.sample(30, np.random.default_rng(0)), objectives=2)
    for arch in strategy.ask(5):
        strategy.tell(arch, 1.0, accuracy(arch))
    assert len(strategy.propose(3, np.random.default_rng(0))) == 3


def test_a_batch_is_spread_over_the_front():
    """The second choice is worth its gain beside the first, not alone: a copy of the first would gain nothing."""
    line = torch.linspace(0, 1, 8).double()[:, None]
    x = line[[0, 3, 7]]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        warp = Warp.of(np.hstack([x, 1 - x]))
        picked = qnehvi.improve(
            qnehvi.fit(x, torch.from_numpy(warp.scores), [1]), warp, x, x[:0], line[[1, 1, 2, 4, 5, 6]], 3
        )
    assert len(set(picked)) == 3
    assert not {0, 1} <= set(picked)


@pytest.mark.parametrize(("space", "listed"), [(SPACE, 50), (Boundless(), None)])
def test_asks_for_open_architectures_only(space, listed):
    candidates = listed and SPACE.sample(listed, np.random.default_rng(2))
    strategy = Qnehvi(space, candidates=candidates, objectives=2)
    for place, arch in enumerate(space.sample(6, np.random.default_rng(0))):
        strategy.tell(arch, float(place), math.nan if place == 5 else float(-place))
    strategy.pending = space.sample(8, np.random.default_rng(1))[6:]
    seen = strategy.seen
    asked = strategy.propose(3, np.random.default_rng(0))
    assert len({arch.key for arch in asked}) == 3
    assert not seen & {arch.key for arch in asked}


def test_around_the_front_where_not_all_can_be_listed():
    strategy = Qnehvi(Boundless(), objectives=2)
    (best,) = SPACE.sample(1, np.random.default_rng(0))
    keys = {arch.key for arch in strategy.candidates([best], np.random.default_rng(0))}
    assert {arch.key for arch in strategy.pool.neighbours(best)} <= keys
    assert len(keys) > 500


def test_dominates_more_than_chance_does(accuracy):
    few = SPACE.sample(400, np.random.default_rng(0))
    by_chance = [volume(Random(SPACE, seed=seed, candidates=few, objectives=2), accuracy) for seed in range(10)]
    improved = [volume(Qnehvi(SPACE, seed=seed, candidates=few, objectives=2), accuracy) for seed in range(3)]
    assert min(improved) > np.mean(by_chance)
    assert np.mean(improved) > np.mean(by_chance) + np.std(by_chance)
