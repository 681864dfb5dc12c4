"""Theory of dominance: the front by its definition; the volume against two oracles, and its invariances."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.pareto import hypervolume, pareto_front

objectives = st.integers(1, 4)
seeds = st.integers(0, 2**31 - 1)


def cloud(seed, points, objectives, levels=None):
    """Points in the unit cube; on a grid there are ties and duplicates."""
    rng = np.random.default_rng(seed)
    return (
        rng.random((points, objectives)) if levels is None else rng.integers(0, levels, (points, objectives)) / levels
    )


def dominates(a, b):
    return bool((a >= b).all() and (a > b).any())


def inclusion_exclusion(values, reference):
    """Volume of a union of boxes from the volumes of all intersections."""
    gains = np.clip(values - reference, 0, None)
    return sum(
        (-1) ** (size + 1) * sum(np.min(subset, axis=0).prod() for subset in combinations(gains, size))
        for size in range(1, len(gains) + 1)
    )


@given(seeds, st.integers(1, 30), objectives, st.sampled_from([None, 3]))
def test_front_is_what_nothing_dominates(seed, points, objectives, levels):
    values = cloud(seed, points, objectives, levels)
    expected = [not any(dominates(other, row) for other in values) for row in values]
    assert pareto_front(values).tolist() == expected


@given(seeds, st.integers(1, 20), objectives)
def test_everything_is_on_the_front_or_dominated_by_it(seed, points, objectives):
    values = cloud(seed, points, objectives, levels=4)
    front = pareto_front(values)
    assert front.any()
    assert all(any(dominates(best, row) for best in values[front]) for row in values[~front])


def test_equal_rows_stay_together():
    assert pareto_front(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])).tolist() == [
        True,
        True,
        True,
        False,
    ]


def test_a_failed_measurement_is_neither_on_the_front_nor_in_the_volume():
    values = np.array([[np.nan, 9.0], [1.0, 1.0], [9.0, np.nan]])
    assert pareto_front(values).tolist() == [False, True, False]
    assert hypervolume(values, np.zeros(2)) == 1.0


def test_nothing_has_no_front_and_no_volume():
    assert pareto_front(np.empty((0, 2))).shape == (0,)
    assert hypervolume(np.empty((0, 2)), np.zeros(2)) == 0.0
    assert hypervolume(np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2)) == 0.0  # on the reference's own planes


def test_staircase_by_hand():
    assert hypervolume(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), np.zeros(2)) == 6.0
    assert hypervolume(np.array([[2.0, 2.0, 1.0], [1.0, 1.0, 3.0]]), np.zeros(3)) == 6.0


@given(seeds, st.integers(1, 9), objectives, st.sampled_from([None, 3]))
def test_volume_is_that_of_inclusion_and_exclusion(seed, points, objectives, levels):
    values, reference = cloud(seed, points, objectives, levels), cloud(seed + 1, 1, objectives)[0] / 2
    assert hypervolume(values, reference) == pytest.approx(inclusion_exclusion(values, reference), abs=1e-12)


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_volume_is_the_share_of_a_cube_that_is_dominated(objectives):
    values, draws = cloud(objectives, 25, objectives), cloud(0, 20_000, objectives)
    dominated = (values[None] >= draws[:, None]).all(axis=2).any(axis=1)
    error = np.sqrt(dominated.var() / len(draws))
    assert hypervolume(values, np.zeros(objectives)) == pytest.approx(dominated.mean(), abs=4 * error)


@given(seeds, st.integers(1, 12), st.integers(2, 4))
def test_volume_grows_exactly_when_something_new_is_dominated(seed, points, objectives):
    values, reference = cloud(seed, points, objectives), np.full(objectives, 0.1)
    rest, last = values[:-1], values[-1]
    before, after = hypervolume(rest, reference), hypervolume(values, reference)
    new = bool((last > reference).all() and not any((other >= last).all() for other in rest))
    assert (after > before + 1e-15) == new
    assert after >= before - 1e-15


@given(seeds, st.integers(1, 12), st.integers(1, 4))
def test_volume_knows_no_order_and_no_origin(seed, points, objectives):
    values, reference, rng = cloud(seed, points, objectives), np.full(objectives, 0.1), np.random.default_rng(seed)
    volume = hypervolume(values, reference)
    rows, columns, shift = rng.permutation(points), rng.permutation(objectives), rng.normal(size=objectives)
    scale = rng.uniform(0.5, 2.0, size=objectives)
    assert hypervolume(values[rows][:, columns], reference[columns]) == pytest.approx(volume)
    assert hypervolume(np.repeat(values, 2, axis=0), reference) == pytest.approx(volume)
    assert hypervolume((values + shift) * scale, (reference + shift) * scale) == pytest.approx(volume * scale.prod())
