"""What the improvement is, by quadrature and by hand; what is asked with it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from crlso.search.pareto import hypervolume
from crlso.spaces import NasBench201, get_space

pytest.importorskip("botorch", reason="pip install 'crlso[bench]'")

from crlso.search.peers import qnehvi  # botorch may be missing
from crlso.search.peers.qnehvi import Qnehvi
from crlso.search.peers.random import Random

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


@settings(max_examples=10)
@given(st.integers(0, 2**31 - 1), st.integers(1, 5), st.integers(2, 3))
def test_expected_improvement_is_the_mean_gain_in_hypervolume(seed, told, objectives):
    rng = np.random.default_rng(seed)
    y, reference = rng.normal(size=(told, objectives)), np.full(objectives, -1.5)
    mean, std = rng.normal(size=(1, objectives)), rng.uniform(0.3, 1.0, (1, objectives))
    found = qnehvi.expected_improvement(*(torch.from_numpy(part) for part in (mean, std, y, reference)))
    draws = rng.normal(mean, std, (300, objectives))
    before = hypervolume(y, reference)
    gains = np.array([hypervolume(np.vstack([y, draw]), reference) - before for draw in draws])
    assert found.item() == pytest.approx(gains.mean(), abs=5 * gains.std() / np.sqrt(len(gains)) + 1e-9)


@given(st.floats(-2, 2), st.floats(0.1, 2), st.floats(-1, 1))
def test_expected_improvement_of_one_objective_is_the_classic(mean, std, best):
    y = torch.tensor([[best], [best - 1]]).double()
    mu, sigma = (torch.tensor([[number]]).double() for number in (mean, std))
    s = (mean - best) / std
    expected = (mean - best) * norm.cdf(s) + std * norm.pdf(s)
    found = qnehvi.expected_improvement(mu, sigma, y, y.min(dim=0).values)
    assert found.item() == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_what_is_certain_to_be_dominated_improves_nothing():
    y, reference = torch.tensor([[1.0, 1.0]]).double(), torch.zeros(2).double()
    sure = torch.tensor([[0.5, 0.5], [2.0, 0.5], [2.0, 2.0]]).double()
    gained = qnehvi.expected_improvement(sure, torch.full_like(sure, 1e-9), y, reference)
    torch.testing.assert_close(gained, torch.tensor([0.0, 0.5, 3.0]).double(), atol=1e-6, rtol=0)


def test_targets_are_normal_scores_of_each_objective():
    y = qnehvi.targets(np.array([[1e9, 3.0], [0.0, 2.0], [-5.0, 2.0]]))
    np.testing.assert_allclose(y[:, 0], norm.ppf([5 / 6, 3 / 6, 1 / 6]))
    assert y[0, 1] > y[1, 1] == y[2, 1]


def test_twins_have_the_same_features_and_all_features_are_finite():
    twin = next(arch for arch in SPACE.enumerate() if arch.text != SPACE.canonical(arch).text)
    rows = np.hstack(qnehvi.encode(SPACE, [twin, SPACE.canonical(twin), *SPACE.sample(20, np.random.default_rng(0))]))
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.isfinite(rows).all()


def test_a_batch_is_spread_over_the_front():
    """The second choice is worth its gain beside the first, not alone: twins of the first would gain nothing."""
    x = torch.linspace(0, 1, 8).double()[:, None]
    y = torch.hstack([x, 1 - x])[[0, 3, 7]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = qnehvi.fit(x[[0, 3, 7]], y, [1])
        picked = qnehvi.improve(model, x[[0, 3, 7]], y, x[:0], x[[1, 1, 2, 4, 5, 6]], 3)
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
    assert volume(Qnehvi(SPACE, seed=0, candidates=few, objectives=2), accuracy) > max(by_chance)
