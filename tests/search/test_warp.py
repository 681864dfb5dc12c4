"""The warp keeps the order, knows a bound when it sees one, and its mean excess is the integral."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from crlso.search.warp import Warp

told = st.lists(st.sampled_from([-9.0, -1.0, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0]), min_size=2, max_size=20)


def test_volumes_begin_at_the_worst_told():
    warp = Warp.of(np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    np.testing.assert_allclose(warp.reference, [warp.values[1, 0], warp.values[0, 1]])


def test_a_best_that_several_share_is_a_bound():
    warp = Warp.of(np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 3.0]]))
    beyond = warp(np.array([[9.0, 9.0]]))[0]
    assert beyond[0] > warp.values[2, 0] + 1
    assert beyond[1] == warp.values[2, 1]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_it_takes_scores_to_values_and_keeps_the_order(values):
    warp = Warp.of(np.array(values)[:, None])
    np.testing.assert_allclose(warp(warp.scores), warp.values, atol=1e-12)
    line = warp(np.linspace(-6, 6, 200)[:, None])
    assert (np.diff(line, axis=0) >= -1e-9).all()
    assert line.min() == pytest.approx(warp.values.min())


def test_scores_are_normal_and_values_standard():
    values = np.array([[1e9, 3.0], [0.0, 2.0], [-1.0, 2.0], [1.0, 2.5], [-1e9, 2.6]])
    warp = Warp.of(values)
    np.testing.assert_allclose(warp.scores[:, 0], norm.ppf([0.9, 0.5, 0.3, 0.7, 0.1]))
    assert warp.scores[1, 1] == warp.scores[2, 1]
    np.testing.assert_allclose(warp.values.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(warp.values.std(axis=0), 1)


@given(told, st.floats(-3, 3), st.floats(0.05, 2), st.floats(0, 1.5))
def test_the_mean_excess_is_the_integral(values, mean, std, share):
    warp = Warp.of(np.array(values)[:, None])
    worst, best = warp.values.min(), warp.values.max()
    level = worst + share * (best - worst)  # also beyond the best
    line = np.linspace(mean - 9 * std, mean + 9 * std, 20_001)
    excess = np.maximum(0.0, warp(line[:, None])[:, 0] - level) * norm.pdf(line, mean, std)
    wanted = np.trapezoid(excess, line)
    found = warp.mean_excess(0, np.array([mean]), np.array([std]), np.array([level, np.inf]))
    assert found[0, 0] == pytest.approx(wanted, abs=1e-4)
    assert found[0, 1] == 0


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_a_known_objective_is_not_warped(values):
    warp = Warp.of(np.array(values)[:, None], known=[0])
    np.testing.assert_allclose(warp.scores * warp.scale + warp.center, np.array(values)[:, None], atol=1e-6)
    beyond = warp.values.max() + 5.0
    assert warp(np.array([[beyond]]))[0, 0] == pytest.approx(beyond)
    assert warp(np.array([[warp.values.min() - 5.0]]))[0, 0] <= warp.values.min() + 1e-12
