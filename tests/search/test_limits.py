"""Limits on exact costs leave exactly the architectures that keep them; limits on measurements are an order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ProblemError
from crlso.networks import costs
from crlso.search.limits import excess, feasible_first, within
from crlso.search.problem import Constraint, parse_limit
from crlso.spaces import get_space

ARCHS = get_space("nasbench201").sample(50, np.random.default_rng(0))


@pytest.mark.parametrize("texts", [["params<=4e5"], ["params>=4e5", "flops<=8e7"], []])
def test_what_is_kept_keeps_all_limits_and_nothing_else_is_left_out(texts):
    limits = [parse_limit(text) for text in texts]
    kept = within(ARCHS, limits)
    expected = [
        arch for arch in ARCHS if all(limit.admits(float(getattr(costs(arch), limit.metric))) for limit in limits)
    ]
    assert [arch.text for arch in kept] == [arch.text for arch in expected]
    assert (len(kept) < len(ARCHS)) == bool(texts)


def test_nothing_left_says_what_there_is():
    least = min(costs(arch).params for arch in ARCHS)
    with pytest.raises(ProblemError, match=f"no candidate keeps all limits; there are params from {least:,} to "):
        within(ARCHS, [Constraint(metric="params", max=1)])


def test_only_exact_costs_can_be_limited():
    with pytest.raises(ProblemError, match="no limit can be set on 'accuracy'; limits are on params, flops"):
        within(ARCHS, [Constraint(metric="accuracy", min=90)])


BOUNDS = [Constraint(metric="latency", max=5.0), Constraint(metric="recall", min=0.5, max=0.9)]
measured = st.tuples(st.floats(-1e9, 1e9), st.floats(0, 20), st.floats(0, 1))


@given(measured, measured)
def test_what_keeps_all_limits_is_better_than_what_does_not(first, second):
    (gain, *values), (other_gain, *other_values) = first, second
    over, other_over = excess(BOUNDS, values), excess(BOUNDS, other_values)
    assert (over == 0) == all(limit.admits(value) for limit, value in zip(BOUNDS, values, strict=True))
    told, other_told = feasible_first(gain, BOUNDS, values), feasible_first(other_gain, BOUNDS, other_values)
    if over == other_over == 0:
        assert (told, other_told) == (gain, other_gain)
    elif over < other_over:
        assert told >= other_told
        assert over > 0 or told > other_told


@pytest.mark.parametrize("row", [(math.nan, 1.0, 0.6), (90.0, math.nan, 0.6)])
def test_a_failed_measurement_is_a_failure(row):
    assert math.isnan(feasible_first(row[0], BOUNDS, row[1:]))
