"""An objective that is an exact cost is recognised in any unit and direction, and nothing else is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.networks import costs
from crlso.search.counted import Counted
from crlso.spaces import get_space

SPACE = get_space("mobile")
TOLD = SPACE.sample(8, np.random.default_rng(0))
OTHERS = SPACE.sample(20, np.random.default_rng(1))


@pytest.mark.parametrize("name", ["params", "flops"])
@given(slope=st.floats(1e-9, 1e3), sign=st.sampled_from([-1.0, 1.0]), offset=st.floats(-1e3, 1e3))
def test_a_cost_is_known_in_any_unit(name, slope, sign, offset):
    def objective(archs):
        counted = np.array([getattr(costs(arch), name) for arch in archs])
        return sign * slope * (counted / 1e6 + offset)

    found = Counted.find(SPACE, TOLD, objective(TOLD))
    np.testing.assert_allclose(found(OTHERS), objective(OTHERS), rtol=1e-6, atol=1e-6 * slope)


def test_what_is_measured_is_not_taken_for_a_cost():
    counted = np.array([costs(arch).flops for arch in TOLD], dtype=np.float64)
    noisy = counted * (1 + 0.01 * np.random.default_rng(2).normal(size=len(counted)))
    assert Counted.find(SPACE, TOLD, noisy) is None
    assert Counted.find(SPACE, TOLD, np.sqrt(counted)) is None
    assert Counted.find(SPACE, TOLD, np.ones(len(counted))) is None


def test_two_points_are_no_line():
    counted = np.array([costs(arch).params for arch in TOLD[:2]], dtype=np.float64)
    assert Counted.find(SPACE, TOLD[:2], counted) is None
