"""Distinct draws: as many as there are, uniform, and faults of choices by their number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.spaces.sampling import check_choices, distinct_rows


@given(seed=st.integers(0, 2**32 - 1), limits=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data())
def test_any_number_up_to_all_of_them(seed, limits, data):
    n = data.draw(st.integers(0, int(np.prod(limits))))
    rng = np.random.default_rng(seed)
    rows = distinct_rows(n, lambda rows: rng.integers(limits, size=(rows, len(limits))))
    assert len(rows) == len(set(rows)) == n
    assert all(0 <= code < limit for row in rows for code, limit in zip(row, limits, strict=True))


def test_every_subset_is_as_likely_as_any_other():
    """Each of the 6 pairs out of 4 comes up in a sixth of the draws, within five standard deviations."""
    rng, draws = np.random.default_rng(0), 3_000
    pairs = [frozenset(distinct_rows(2, lambda rows: rng.integers(4, size=(rows, 1)))) for _ in range(draws)]
    shares = np.array([pairs.count(pair) for pair in set(pairs)]) / draws
    assert len(shares) == 6
    assert np.abs(shares - 1 / 6).max() < 5 * np.sqrt(5 / 36 / draws)


@pytest.mark.parametrize(
    ("choices", "fault"),
    [((0, 1), None), ((0,), "1 choices where there are 2"), ((0, 2), "choice 2 in decision 1"), ((-1, 0), "choice -1")],
)
def test_faults_are_named(choices, fault):
    found = check_choices(choices, (("a", "b"), ("a", "b")))
    assert found is None if fault is None else found.startswith(fault)
