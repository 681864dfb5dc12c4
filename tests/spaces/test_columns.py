"""Edges that arrive at a node: the count, the list and the draws are of the same set."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.spaces.columns import Column

edges = st.lists(st.sets(st.integers(0, 3), min_size=1).map(lambda codes: tuple(sorted(codes))), max_size=4)


@given(codes=edges, most=st.none() | st.integers(0, 4))
def test_counts_and_lists_what_keeps_the_limit(codes, most):
    column = Column.of(codes, most)
    limit = len(codes) if most is None else most
    expected = {chosen for chosen in product(*codes) if np.count_nonzero(chosen) <= limit}
    listed = [tuple(codes[edge][n] for edge, n in enumerate(row)) for row in column.all()]
    assert set(listed) == expected
    assert len(listed) == column.size == len(expected)


@pytest.mark.parametrize("most", [None, 1, 2])
def test_draws_are_uniform(most):
    column = Column.of([(0, 1, 2), (0, 3), (0,), (0, 1, 2, 3)], most)
    draws = 6_000
    drawn = [tuple(row) for row in column.draw(draws, np.random.default_rng(0)).tolist()]
    assert set(drawn) == set(column.all())
    share = 1 / column.size
    shares = np.array([drawn.count(row) for row in column.all()]) / draws
    assert np.abs(shares - share).max() < 5 * np.sqrt(share * (1 - share) / draws)


def test_edges_that_must_be_there_are_and_count_towards_the_limit():
    column = Column.of([(0, 1), (2,), (0, 1)], 2)
    assert column.size == 3
    assert set(column.all()) == {(0, 0, 0), (1, 0, 0), (0, 0, 1)}
    assert Column.of([(1,), (2,)], 1).size == 0


def test_counts_beyond_the_largest_machine_number():
    column = Column.of([tuple(range(9))] * 60, 40)
    assert column.size > 2**100
    rows = column.draw(100, np.random.default_rng(0))
    assert (np.count_nonzero(rows, axis=1) <= 40).all()
