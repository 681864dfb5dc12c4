"""Boxes tile what is not dominated, and the gain of what is certain is a difference of hypervolumes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crlso.pareto import hypervolume
from crlso.search.gains import boxes, expected_gain, gain_together
from crlso.search.warp import Warp

coordinates = st.integers(0, 6).map(float)


def points(objectives):
    return arrays(np.float64, st.tuples(st.integers(1, 8), st.just(objectives)), elements=coordinates)


@given(st.integers(1, 4).flatmap(lambda q: st.tuples(points(q), arrays(np.float64, (30, q), elements=coordinates))))
def test_boxes_tile_what_is_not_dominated(case):
    values, places = case
    places = places + 0.5  # off the grid, hence in the interior of a box or of what is dominated
    lower, upper = boxes(values, np.zeros(values.shape[1]))
    inside = ((lower <= places[:, None]) & (places[:, None] < upper)).all(axis=2).sum(axis=1)
    dominated = (values[:, None] >= places).all(axis=2).any(axis=0)
    np.testing.assert_array_equal(inside, ~dominated)


@given(st.integers(1, 3).flatmap(lambda q: st.tuples(points(q), points(q))))
def test_what_is_certain_gains_the_difference_of_hypervolumes(case):
    values, scores = case
    warp = Warp.of(values)
    scores = scores / 3 - 1
    found = expected_gain(scores, np.full(scores.shape, 1e-9), warp, warp.values)
    before = hypervolume(warp.values, warp.reference)
    wanted = [hypervolume(np.vstack([warp.values, row]), warp.reference) - before for row in warp(scores)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 2**31 - 1), st.integers(2, 3))
def test_what_is_uncertain_gains_the_mean_over_draws(seed, objectives):
    rng = np.random.default_rng(seed)
    warp = Warp.of(rng.normal(size=(6, objectives)))
    mean, std = rng.normal(size=(1, objectives)), rng.uniform(0.3, 1, (1, objectives))
    before = hypervolume(warp.values, warp.reference)
    draws = warp(rng.normal(mean, std, (400, objectives)))
    gains = np.array([hypervolume(np.vstack([warp.values, row]), warp.reference) - before for row in draws])
    found = expected_gain(mean, std, warp, warp.values)[0]
    assert found == pytest.approx(gains.mean(), abs=6 * gains.std() / np.sqrt(len(gains)) + 0.02)


@given(st.integers(1, 3).flatmap(lambda q: st.tuples(points(q), points(q))), st.integers(1, 3))
def test_one_certain_draw_gains_the_difference_of_hypervolumes(case, n):
    told, drawn = case
    reference = np.full(told.shape[1], -1.0)
    chosen = gain_together(told[None], drawn[None], reference, n)
    assert len(set(chosen)) == len(chosen) == min(n, len(drawn))
    for k in range(len(chosen)):
        before = np.vstack([told, drawn[chosen[:k]]])
        gains = [hypervolume(np.vstack([before, row]), reference) for row in drawn]
        assert gains[chosen[k]] == pytest.approx(max(gains))


def test_a_lucky_value_does_not_hide_what_is_believed_to_be_better():
    told = np.array([[[1.0, 1.0]], [[1.0, 1.0]]])  # measured at (3, 3), but both draws know better
    drawn = np.array([[[2.0, 2.0], [0.5, 0.5]], [[2.0, 2.0], [0.5, 0.5]]])
    assert gain_together(told, drawn, np.zeros(2), 1) == [0]


def test_a_batch_does_not_ask_for_the_same_gain_twice():
    told = np.tile([[0.0, 0.0]], (8, 1, 1))
    left, right = np.array([3.0, 1.0]), np.array([1.0, 2.0])
    drawn = np.tile([left, left - 0.01, right], (8, 1, 1))
    assert gain_together(told, drawn, np.zeros(2), 2) == [0, 2]
