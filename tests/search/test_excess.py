"""The excess over limits of costs, and the way back."""

import copy

import numpy as np
import pytest
import torch

from crlso.search.excess import Excess
from crlso.search.problem import parse_limit

LIMITS = [("params<=4e5",), ("flops>=5e7",), ("params>=2e5", "params<=4e5", "flops<=6e7", "accuracy>=66")]


@pytest.fixture(scope="module")
def vae(model):
    return copy.deepcopy(model.vae).double()


def excess(vae, limits, z):
    """Equation (1) with autograd's operations, the limits stated once more."""
    total = 0.0
    for cost, name in enumerate(("params", "flops")):
        logs = vae.costs(z)[:, cost]
        for limit in (limit for limit in limits if limit.metric == name):
            ends = ((limit.min, -1.0), (limit.max, 1.0))
            for sign, end in ((sign, float(end)) for end, sign in ends if end is not None):
                bound = (np.log(max(end, 0.0)) - vae.cost_center[cost]) / vae.cost_scale[cost] if end > 0 else -np.inf
                total = total + (sign * (logs - bound) + 0.02).clamp(0.0, 10.0)
    return total


@pytest.mark.parametrize("limits", LIMITS)
def test_closed_form_is_the_gradient_that_autograd_finds(vae, limits):
    limits = tuple(map(parse_limit, limits))
    z = (3 * torch.randn(500, vae.config.latent, dtype=torch.float64)).requires_grad_()
    value = excess(vae, limits, z)
    (wanted,) = torch.autograd.grad(value.sum(), z)
    assert (value > 0).any()
    np.testing.assert_allclose(Excess(vae, limits).gradient(z.detach().numpy().T).T, wanted, rtol=1e-9, atol=1e-9)


def test_of_two_limits_the_tighter_one_counts(vae):
    z = torch.randn(50, vae.config.latent, dtype=torch.float64).numpy().T
    loose, tight = parse_limit("params<=5e5"), parse_limit("params<=3e5")
    assert np.array_equal(Excess(vae, (loose, tight)).gradient(z), Excess(vae, (tight,)).gradient(z))


@pytest.mark.parametrize("limit", ["params<=0", "flops>=-1", "params>=0", "accuracy>=66"])
def test_what_is_infinitely_far_and_what_is_no_cost_pull_not_at_all(vae, limit):
    z = torch.randn(50, vae.config.latent, dtype=torch.float64).numpy().T
    assert not Excess(vae, (parse_limit(limit),)).gradient(z).any()
