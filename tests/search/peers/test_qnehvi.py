"""What the improvement is, by quadrature and by hand; what is asked with it."""

import math
import warnings

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
from crlso.search.peers.qnehvi import Qnehvi, Warp
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


class Straight(Warp):
    """Scores are the values."""

    def __call__(self, scores):
        return scores


def straight(values):
    values = torch.as_tensor(values, dtype=torch.float64)
    return Straight(values, values, ((values[:, 0], values[:, 0]),) * values.shape[1])


@settings(max_examples=10)
@given(st.integers(0, 2**31 - 1), st.integers(2, 5), st.integers(2, 3))
def test_expected_improvement_is_the_mean_gain_in_hypervolume(seed, told, objectives):
    rng = np.random.default_rng(seed)
    y, mean, std = rng.normal(size=(told, objectives)), rng.normal(size=objectives), rng.uniform(0.3, 1, objectives)
    warp = straight(y)
    draws, reference = rng.normal(mean, std, (300, objectives)), warp.reference.numpy()
    before = hypervolume(y, reference)
    gains = np.array([hypervolume(np.vstack([y, draw]), reference) - before for draw in draws])
    mu, sigma = (torch.from_numpy(row)[None] for row in (mean, std))
    found = qnehvi.expected_improvement(warp, mu, sigma).item()
    assert found == pytest.approx(gains.mean(), rel=0.05, abs=5 * gains.std() / np.sqrt(len(gains)) + 0.01)


@given(st.floats(-2, 2), st.floats(0.1, 2), st.floats(-1, 1))
def test_expected_improvement_of_one_objective_is_the_classic(mean, std, best):
    mu, sigma = (torch.tensor([[number]]).double() for number in (mean, std))
    s = (mean - best) / std
    expected = (mean - best) * norm.cdf(s) + std * norm.pdf(s)
    found = qnehvi.expected_improvement(straight([[best], [best - 1]]), mu, sigma).item()
    assert found == pytest.approx(expected, abs=0.03 * std)  # the quadrature meets a kink


def test_what_is_certain_to_be_dominated_improves_nothing():
    warp = straight([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    sure = torch.tensor([[0.5, 0.5], [2.0, 1.0], [2.0, 2.0]]).double()
    gained = qnehvi.expected_improvement(warp, sure, torch.full_like(sure, 1e-9))
    torch.testing.assert_close(gained, torch.tensor([0.0, 1.0, 3.0]).double(), atol=1e-6, rtol=0)


def test_volumes_begin_at_the_worst_told():
    np.testing.assert_allclose(straight([[2.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]).reference, [-1.0, 0.0])


def test_a_best_that_several_share_is_a_bound():
    beyond = torch.tensor([[9.0, 9.0]]).double()
    warp = Warp.of(np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 3.0]]))
    assert warp(beyond)[0, 0] > warp.values[2, 0] + 1
    assert warp(beyond)[0, 1] == warp.values[2, 1]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_the_warp_takes_scores_to_values_and_keeps_the_order(values):
    warp = Warp.of(np.array(values)[:, None])
    torch.testing.assert_close(warp(warp.scores), warp.values)
    line = torch.linspace(-6, 6, 200).double()[:, None]
    assert (warp(line).diff(dim=0) >= -1e-9).all()
    assert warp(line).min() == pytest.approx(warp.values.min().item())


def test_scores_are_normal_and_values_fenced_on_the_worse_side_only():
    values = np.array([[1e9, 3.0], [0.0, 2.0], [-1.0, 2.0], [1.0, 2.5], [-1e9, 2.6]])
    warp = Warp.of(values)
    np.testing.assert_allclose(warp.scores[:, 0], norm.ppf([0.9, 0.5, 0.3, 0.7, 0.1]))
    assert warp.scores[1, 1] == warp.scores[2, 1]
    np.testing.assert_allclose(warp.values.mean(dim=0), 0, atol=1e-9)
    np.testing.assert_allclose(warp.values.std(dim=0, correction=0), 1)
    best, middle, worst = warp.values[0, 0], warp.values[1, 0], warp.values[4, 0]
    assert best - middle > 1e6 * (middle - worst)


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
        picked = qnehvi.improve(qnehvi.fit(x, warp.scores, [1]), warp, x, x[:0], line[[1, 1, 2, 4, 5, 6]], 3)
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
