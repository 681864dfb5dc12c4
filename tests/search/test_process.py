"""The Gaussian process against scikit-learn's, its prior, its draws and its beliefs."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from crlso.search.process import (
    Kernel,
    Posterior,
    Prior,
    fit_kernel,
    improve_in_turn,
    mean_excess,
    normal_scores,
    squared_distances,
    typical_distance,
)

PRIOR = Prior(reach=1.0, reach_spread=0.5, noise=0.1, noise_spread=0.5)


@pytest.fixture
def told():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    return [x], np.sin(x[:, 0]) + 0.1 * rng.normal(size=30)


def test_one_block_is_the_usual_regression(told):
    (x,), y = told
    places = np.random.default_rng(1).normal(size=(7, 3))
    beliefs = Posterior(Kernel(np.array([1.5]), np.array([0.8]), 0.05), [x], y).at([places])
    usual = GaussianProcessRegressor(ConstantKernel(1.5) * RBF(0.8) + WhiteKernel(0.05), optimizer=None).fit(x, y)
    mean, std = usual.predict(places, return_std=True)
    assert beliefs.mean == pytest.approx(mean, abs=1e-4)
    assert beliefs.std**2 + 0.05 == pytest.approx(std**2, abs=1e-4)


def test_the_fit_is_a_mode_of_the_posterior(told):
    blocks, y = told

    def unlikely(kernel):
        covariance = kernel(blocks, blocks) + (kernel.noise + 1e-6) * np.eye(len(y))
        off = [
            np.log(kernel.amplitudes[0]),
            (np.log(kernel.scales[0]) - np.log(PRIOR.reach)) / PRIOR.reach_spread,
            (np.log(kernel.noise) - np.log(PRIOR.noise)) / PRIOR.noise_spread,
        ]
        return y @ np.linalg.solve(covariance, y) / 2 + np.linalg.slogdet(covariance)[1] / 2 + np.square(off).sum() / 2

    best = fit_kernel(blocks, y, PRIOR)
    for part in ("amplitudes", "scales", "noise"):
        for factor in (0.9, 1.1):
            other = Kernel(**{**vars(best), part: getattr(best, part) * factor})
            assert unlikely(other) > unlikely(best)


def test_a_firm_prior_is_kept(told):
    firm = Prior(reach=3.0, reach_spread=1e-3, noise=0.7, noise_spread=1e-3)
    kernel = fit_kernel(*told, firm)
    assert kernel.scales == pytest.approx([3.0], rel=0.02)
    assert kernel.noise == pytest.approx(0.7, rel=0.02)


def test_draws_have_the_posterior_s_moments(told):
    blocks, y = told
    posterior = Posterior(Kernel(np.array([1.0]), np.array([1.0]), 0.1), blocks, y)
    places = [np.random.default_rng(2).normal(size=(5, 3))]
    rng = np.random.default_rng(3)
    draws = np.hstack([posterior.draw(places, 20, rng) for _ in range(200)])
    beliefs = posterior.at(places)
    assert draws.mean(axis=1) == pytest.approx(beliefs.mean, abs=0.06)
    assert draws.std(axis=1) == pytest.approx(beliefs.std, abs=0.06)


def test_joint_draws_have_the_posterior_s_moments_and_mirror_each_other(told):
    blocks, y = told
    posterior = Posterior(Kernel(np.array([1.0]), np.array([1.0]), 0.1), blocks, y)
    near = np.random.default_rng(2).normal(size=(2, 3))
    places = [np.vstack([near, near[0] + 1e-3])]
    draws = posterior.draw_together(places, 4000, np.random.default_rng(3))
    beliefs = posterior.at(places)
    np.testing.assert_allclose(draws.mean(axis=1), beliefs.mean, atol=1e-9)
    assert draws.std(axis=1) == pytest.approx(beliefs.std, rel=0.06)
    np.testing.assert_allclose(draws[0], draws[2], atol=0.02)  # neighbours are drawn alike


def test_believing_is_conditioning_on_the_mean(told):
    (x,), y = told
    places = np.random.default_rng(4).normal(size=(6, 3))
    kernel = Kernel(np.array([1.0]), np.array([1.0]), 0.1)
    beliefs = Posterior(kernel, [x], y).at([places])
    mean = float(beliefs.mean[2])
    beliefs.believe(2)
    again = Posterior(kernel, [np.vstack([x, places[2]])], np.append(y, mean)).at([places])
    assert again.mean == pytest.approx(beliefs.mean, abs=1e-4)
    assert again.std == pytest.approx(beliefs.std, abs=1e-3)


def test_expected_improvement_is_the_integral(told):
    beliefs = Posterior(Kernel(np.array([1.0]), np.array([1.0]), 0.1), *told).at([np.zeros((1, 3)) + 0.5])
    grid = np.linspace(-8, 8, 20001)
    density = norm.pdf(grid, beliefs.mean[0], beliefs.std[0])
    wanted = np.trapezoid(np.maximum(grid - 0.2, 0) * density, grid)
    assert mean_excess(beliefs.mean, beliefs.std, np.array([0.2]))[0, 0] == pytest.approx(wanted, abs=1e-6)


def test_a_batch_is_distinct_and_spares_the_barred(told):
    places = [np.random.default_rng(5).normal(size=(8, 3))]
    posterior = Posterior(Kernel(np.array([1.0]), np.array([1.0]), 0.1), *told)
    chosen = improve_in_turn(posterior.at(places), 0.0, 20, barred=[3])
    assert sorted(chosen) == [0, 1, 2, 4, 5, 6, 7]
    assert chosen[0] != 3


def test_scores_keep_the_order_and_are_standard():
    values = np.array([5.0, -900.0, 7.0, 6.0, 5.0])
    scores = normal_scores(values)
    assert scores[0] == scores[4]
    assert list(np.argsort(scores)[[0, -1]]) == [1, 2]
    assert normal_scores(np.arange(1000.0)).std() == pytest.approx(1.0, abs=0.01)


def test_the_typical_distance_is_that_of_pairs():
    block = np.random.default_rng(6).normal(size=(50, 4))
    assert typical_distance(block) == pytest.approx(np.sqrt(squared_distances(block, block).mean()))
