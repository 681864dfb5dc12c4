"""The excess over limits of costs, and the way back."""

import copy

import numpy as np
import pytest
import torch

from crlso.search.excess import Excess
from crlso.search.problem import parse_limit

LIMITS = [
    ("params<=4e5",),
    ("flops>=5e7",),
    ("params>=2e5", "params<=4e5", "flops<=6e7"),
    ("params>=3e5", "params>=2e5", "flops>=1e7", "flops<=9e7", "flops<=8e7"),
    ("params<=0",),
    ("flops>=-1",),
    ("accuracy>=66",),
]


@pytest.fixture(scope="module")
def vae(model):
    return copy.deepcopy(model.vae).double()


@pytest.mark.parametrize("limits", LIMITS)
def test_closed_form_is_the_gradient_that_autograd_finds(vae, limits):
    excess = Excess(vae, tuple(map(parse_limit, limits)))
    z = (3 * torch.randn(500, vae.config.latent, dtype=torch.float64)).requires_grad_()
    value = excess(z)
    (wanted,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(excess.gradient(z.detach()), wanted, rtol=1e-9, atol=1e-9)
    assert bool((value > 0).any()) == (limits[0] not in ("flops>=-1", "accuracy>=66"))


def test_excess_is_how_far_the_predicted_logarithm_is_beyond_the_limit(vae):
    z = torch.randn(500, vae.config.latent, dtype=torch.float64)
    logs = vae.costs(z) * vae.cost_scale + vae.cost_center
    beyond = (logs[:, 0] - np.log(4e5)) / vae.cost_scale[0]
    value = Excess(vae, (parse_limit("params<=4e5"),))(z)
    kept = beyond < -0.1
    assert kept.any()
    assert (value[kept] == 0).all()
    torch.testing.assert_close(value[beyond > 0], beyond[beyond > 0] + 0.02)


def test_what_is_infinitely_far_pulls_no_more(vae):
    z = torch.randn(50, vae.config.latent, dtype=torch.float64)
    assert (Excess(vae, (parse_limit("params<=0"),)).gradient(z) == 0).all()
