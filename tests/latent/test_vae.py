"""Where architectures lie, how they are drawn, and what the networks say of a point."""

import numpy as np
import pytest
import torch

from crlso.graphs import Forest
from crlso.latent.config import PRESETS, LatentConfig
from crlso.latent.geometry import Ball
from crlso.latent.vae import GaussianHead, GraphVAE, PolarHead, Posterior, latent_ball
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()
SIZES = {"latent": 5, "hidden": 12, "decoder_hidden": 12, "icnn_hidden": 6, "members": 3}
OBJECTIVES = pytest.mark.parametrize("objective", ["volume-matched", "cr-lso"])


def make(objective, **changes):
    torch.manual_seed(0)
    return GraphVAE(LatentConfig(objective=objective, **{**SIZES, **changes}), SPACE.schema).requires_grad_(False)


def forest_of(n):
    return Forest.of((arch.graph for arch in SPACE.sample(n, np.random.default_rng(0))), SPACE.schema)


def test_divergence_is_zero_at_the_prior_and_nowhere_else():
    assert Posterior(torch.zeros(3, 4), torch.zeros(3, 4)).divergence().item() == 0
    torch.manual_seed(0)
    for scale in (1e-2, 1.0, 3.0):
        mean, log_variance = scale * torch.randn(2, 1, 4)
        assert Posterior(mean, log_variance).divergence() > 0
        assert Posterior(torch.zeros(1, 4), log_variance).divergence() > 0


def test_divergence_is_that_of_torch():
    torch.manual_seed(1)
    mean, log_variance = torch.randn(2, 6, 4)
    normal, prior = torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    wanted = torch.distributions.kl_divergence(normal, prior).mean()
    torch.testing.assert_close(Posterior(mean, log_variance).divergence(), wanted)


def test_draws_have_the_posteriors_moments():
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2.0]])
    posterior = Posterior(mean.expand(40_000, 2), log_variance.expand(40_000, 2))
    drawn = posterior.sample(torch.Generator().manual_seed(0), 0.5)
    torch.testing.assert_close(drawn.mean(dim=0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), 0.5 * (log_variance[0] / 2).exp(), atol=0.03, rtol=0)
    again = posterior.sample(torch.Generator().manual_seed(0), 0.5)
    assert torch.equal(drawn, again)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_the_polar_head_stays_inside_the_ball(scale):
    torch.manual_seed(2)
    ball = Ball(6, 2.0)
    posterior = PolarHead(8, ball)(scale * torch.randn(500, 8))
    assert (posterior.mean.norm(dim=1) <= ball.radius * (1 + 1e-6)).all()
    assert (posterior.log_variance == 0).all()


def test_the_gaussian_head_goes_anywhere():
    torch.manual_seed(3)
    posterior = GaussianHead(8, Ball(6, 2.0))(100 * torch.randn(50, 8))
    assert posterior.mean.norm(dim=1).max() > 2.0
    assert posterior.log_variance.std() > 0


def test_by_volume_the_head_learns_the_share_that_lies_further_inside():
    """Both heads give the same share where the ball is one-dimensional, and this one gives it in any dimensions."""
    features = torch.randn(50, 8)
    for dims in (1, 32):
        torch.manual_seed(4)
        ball = Ball(dims, 2.0)
        head = PolarHead(8, ball, by_volume=True)
        torch.testing.assert_close(
            ball.share(head(features).mean), torch.sigmoid(head.radius(features) + 1.5).squeeze(1), rtol=1e-4, atol=1e-6
        )


def test_by_volume_the_gradient_is_finite_however_near_the_centre():
    head = PolarHead(8, Ball(32, 2.0), by_volume=True)
    features = torch.randn(20, 8)
    head.radius.bias.data.fill_(-1e4)
    head(features).mean.norm(dim=1).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())


def test_a_held_head_gives_all_one_radius_that_training_leaves_alone():
    head = PolarHead(8, Ball(32, 2.0), by_volume=True)
    head.hold()
    radii = head(10 * torch.randn(20, 8)).mean.norm(dim=1)
    torch.testing.assert_close(radii, radii[:1].expand(20))
    assert radii[0] < 2.0
    assert not any(parameter.requires_grad for parameter in head.radius.parameters())


def test_balls_hold_their_priors():
    uniform, normal = latent_ball(LatentConfig(latent=7)), latent_ball(PRESETS["paper"])
    assert (uniform.dims, uniform.radius, uniform.prior) == (7, 3.0, "uniform")
    assert (normal.dims, normal.prior) == (16, "normal")
    inside = torch.randn(50_000, 16, generator=torch.Generator().manual_seed(0)).norm(dim=1) <= normal.radius
    assert inside.double().mean().item() == pytest.approx(0.999, abs=6e-4)


@OBJECTIVES
def test_latents_lie_in_the_ball(objective):
    vae = make(objective)
    if objective == "cr-lso":
        vae.head.mean.weight.mul_(100)
    forest = forest_of(50)
    free, latents = vae.posterior(forest).mean, vae.encode(forest)
    assert (latents.norm(dim=1) <= vae.ball.radius * (1 + 1e-6)).all()
    torch.testing.assert_close(latents, vae.ball.project(free))


def test_an_enclosing_ball_holds_all_latents_where_they_are():
    vae, forest = make("cr-lso"), forest_of(50)
    start = vae.ball.radius
    vae.enclose(forest)
    assert vae.ball.radius == start, "what lies inside already needs no wider ball"
    vae.head.mean.weight.mul_(100)
    vae.enclose(forest)
    means = vae.posterior(forest).mean
    assert vae.ball.radius == pytest.approx(means.norm(dim=1).max().item())
    assert vae.ball.radius > start
    torch.testing.assert_close(vae.encode(forest), means)
    other = make("cr-lso")
    other.load_state_dict(vae.state_dict())
    assert other.ball == vae.ball


@OBJECTIVES
def test_the_score_is_the_members_mean_and_the_prediction_its_calibration(objective):
    vae, z = make(objective), torch.randn(40, 5)
    scores = vae.ensemble(z)
    torch.testing.assert_close(vae.score(z), scores.mean(dim=0))
    vae.calibration.fit(np.linspace(-3, 0, 100), np.sqrt(np.linspace(0, 1, 100)))
    mean, std = vae.predict(z)
    torch.testing.assert_close(mean, vae.calibration(vae.score(z)))
    torch.testing.assert_close(std, vae.calibration(scores).std(dim=0, correction=0))
    assert (std > 0).any()


def test_a_single_member_is_sure_of_itself():
    vae = make("volume-matched", members=1)
    vae.calibration.fit(np.linspace(-3, 0, 100), np.linspace(0, 1, 100))
    _, std = vae.predict(torch.randn(10, 5))
    assert std.tolist() == [0.0] * 10
