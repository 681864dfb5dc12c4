"""Volumes of balls: the prior's mass inside a radius, and who belongs where."""

import numpy as np
import pytest
import torch

from crlso.latent.geometry import Ball, class_quantiles, quantile_at, score_at

DRAWS = 20_000
DIMS = pytest.mark.parametrize("dims", [1, 2, 10])


@DIMS
def test_the_priors_mass_inside_a_radius_is_its_quantile(dims):
    """To four standard deviations of a share of that many draws."""
    ball = Ball(dims, 3.0)
    z = ball.sample(DRAWS, torch.Generator().manual_seed(0))
    for q in (0.05, 0.3, 0.5, 0.9):
        inside = (z.norm(dim=1) <= ball.radius_at(torch.tensor([q]))).double().mean().item()
        assert abs(inside - q) < 4 * (q * (1 - q) / DRAWS) ** 0.5


@DIMS
def test_the_default_radius_gives_coordinates_unit_variance(dims):
    z = Ball(dims, (dims + 2) ** 0.5).sample(DRAWS, torch.Generator().manual_seed(1))
    assert z.mean(dim=0).abs().max() < 4 * DRAWS**-0.5
    assert z.var(dim=0) == pytest.approx(torch.ones(dims), abs=0.05)


def test_inner_points_have_uniform_radius():
    radii = Ball(8, 2.0).sample_inner(DRAWS, torch.Generator().manual_seed(2)).norm(dim=1) / 2.0
    shares = torch.histc(radii, bins=10, min=0, max=1) / DRAWS
    assert (shares - 0.1).abs().max() < 4 * (0.09 / DRAWS) ** 0.5


def test_the_normal_prior_is_moved_inside():
    ball = Ball(3, 1.5, prior="normal")
    z, free = (
        ball.sample(1_000, torch.Generator().manual_seed(3)),
        torch.randn(1_000, 3, generator=torch.Generator().manual_seed(3)),
    )
    outside = free.norm(dim=1) > 1.5
    assert 0 < outside.sum() < 1_000
    assert torch.equal(z[~outside], free[~outside])
    assert z[outside].norm(dim=1) == pytest.approx(torch.full((int(outside.sum()),), 1.5))


@DIMS
def test_share_inverts_radius_and_quantile_inverts_score(dims):
    ball, q = Ball(dims, 2.5), torch.linspace(0.01, 1, 100)
    direction = torch.nn.functional.normalize(torch.randn(1, dims), dim=1)
    z = ball.radius_at(q)[:, None] * direction
    torch.testing.assert_close(ball.share(z), q, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(quantile_at(score_at(q, dims), dims), q, rtol=1e-4, atol=1e-6)


@DIMS
def test_the_score_is_the_negative_square_of_the_radius_in_units_of_the_balls(dims):
    q = torch.linspace(0, 1, 50, dtype=torch.float64)
    torch.testing.assert_close(score_at(q, dims), -((Ball(dims, 4.0).radius_at(q) / 4.0) ** 2))


def test_scores_beyond_the_best_keep_finite_gradients():
    score = torch.tensor([-0.5, 0.0, 0.3], requires_grad=True)
    quantile = quantile_at(score, 1)
    quantile.sum().backward()
    assert (quantile[1:] < 1e-2).all()
    assert score.grad.isfinite().all()


def test_projection_is_to_the_nearest_point_of_the_ball():
    torch.manual_seed(0)
    ball = Ball(4, 2.0)
    z, inside = 3 * torch.randn(200, 4), ball.sample(50, torch.Generator().manual_seed(0))
    nearest = ball.project(z)
    assert (nearest.norm(dim=1) <= 2.0 * (1 + 1e-6)).all()
    distance = (z - nearest).norm(dim=1, keepdim=True)
    assert (distance <= torch.cdist(z, inside) + 1e-5).all()
    assert torch.equal(ball.project(inside), inside)
    assert torch.equal(ball.project(torch.zeros(1, 4)), torch.zeros(1, 4))


def test_quantiles_of_distinct_values_are_midpoints_of_equal_shares():
    values = np.array([3.0, 9.0, 5.0, 7.0])
    everyone = np.ones(4, dtype=bool)
    assert class_quantiles(values, np.ones(4, dtype=int), everyone).tolist() == [0.875, 0.125, 0.625, 0.375]


def test_quantiles_fall_with_the_value_and_average_to_a_half_by_mass():
    rng = np.random.default_rng(0)
    values, mass = rng.integers(0, 40, 200).astype(float), rng.integers(1, 30, 200)
    known = rng.random(200) < 0.7
    quantiles = class_quantiles(values, mass, known)
    order = np.argsort(values[known])
    steps, falls = np.diff(values[known][order]), np.diff(quantiles[known][order])
    assert (falls[steps > 0] < 0).all()
    assert (falls[steps == 0] == 0).all()
    assert (steps == 0).any()
    assert np.average(quantiles[known], weights=mass[known]) == pytest.approx(0.5)
    assert ((quantiles[known] > 0) & (quantiles[known] < 1)).all()
    assert (quantiles[~known] == 1).all()


def test_unknown_values_do_not_count():
    known = np.array([True, False, True])
    values, mass = np.array([1.0, np.nan, 2.0]), np.array([3, 500, 1])
    assert class_quantiles(values, mass, known).tolist() == [0.625, 1.0, 0.125]


def test_spreading_keeps_directions_and_draws_radii_of_the_prior():
    """The share of the ball inside the drawn radius is uniform: within five standard deviations."""
    ball, generator = Ball(6, 2.0), torch.Generator().manual_seed(0)
    z = torch.randn(4000, 6, generator=generator)
    spread = ball.spread(z, generator)
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(spread, z), torch.ones(4000))
    share = ball.share(spread)
    assert share.max() <= 1 + 1e-5
    assert abs(share.mean().item() - 0.5) < 5 * (1 / 12 / 4000) ** 0.5
