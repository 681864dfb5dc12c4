"""Exact objectives have no doubt; learned ones are the process's beliefs."""

import numpy as np

from crlso.networks import costs
from crlso.search.counted import Counted
from crlso.search.describe import Descriptor
from crlso.search.models import Exact, Learned
from crlso.search.process import Kernel, Posterior
from crlso.search.warp import Warp
from crlso.spaces import get_space

SPACE = get_space("mobile")
TOLD = SPACE.sample(12, np.random.default_rng(0))
OTHERS = SPACE.sample(7, np.random.default_rng(1))


def test_what_is_counted_is_certain_and_in_the_warp_s_values():
    params = -np.array([costs(arch).params for arch in TOLD + OTHERS]) / 1e6
    warp = Warp.of(params[:12, None], known=[0])
    model = Exact(Counted.find(SPACE, TOLD, params[:12]), float(warp.center[0]), float(warp.scale[0]))
    draws = model.draw(OTHERS, 3, np.random.default_rng(2))
    assert (draws == model.at(OTHERS).mean[:, None]).all()
    above = params[12:] >= params[:12].min()
    values = warp(draws[:, :1])[:, 0] * warp.scale[0] + warp.center[0]
    np.testing.assert_allclose(values[above], params[12:][above], rtol=1e-9)


def test_draws_of_what_is_learned_keep_to_its_beliefs():
    describe = Descriptor(SPACE, SPACE.sample(50, np.random.default_rng(3)), {("decisions",): 1.0})
    scores = np.linspace(-1, 1, len(TOLD))
    model = Learned(Posterior(Kernel(np.ones(1), np.ones(1), 0.1), describe(TOLD), scores), describe)
    draws = model.draw(OTHERS, 2000, np.random.default_rng(4))
    beliefs = model.at(OTHERS)
    np.testing.assert_allclose(draws.mean(axis=1), beliefs.mean, atol=0.15)
    np.testing.assert_allclose(draws.std(axis=1), beliefs.std, atol=0.15)
