"""Limits on exact costs leave exactly the architectures that keep them."""

import numpy as np
import pytest

from crlso.exceptions import ProblemError
from crlso.networks import costs
from crlso.search.limits import within
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
