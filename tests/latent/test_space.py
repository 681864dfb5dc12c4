"""What is explored without labels can be written back, and labels then rank what they have not seen."""

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from crlso.latent.config import PRESETS
from crlso.latent.space import explore
from crlso.spaces import get_space

SPACE = get_space("darts")
SIZES = {"population": 1000, "latent": 16, "hidden": 64, "decoder_hidden": 64}
SMALL = PRESETS["large"].model_copy(update={**SIZES, "epochs": 20, "batch": 32, "cost": 0.1})


@pytest.fixture(scope="module")
def explored():
    return explore(SPACE, SMALL, seed=0)


def test_the_same_seed_explores_the_same(explored):
    again = explore(SPACE, SMALL, seed=0)
    assert [arch.text for arch in again.population.representatives] == [
        arch.text for arch in explored.population.representatives
    ]
    for one, other in zip(explored.vae.parameters(), again.vae.parameters(), strict=True):
        assert torch.equal(one, other)


def test_latents_lie_in_the_ball_and_twins_share_them(explored):
    archs = list(explored.population.representatives[:50])
    z = explored.encode(archs)
    assert (z.norm(dim=1) <= explored.vae.ball.radius * (1 + 1e-5)).all()
    assert torch.equal(z, explored.encode([SPACE.canonical(arch) for arch in archs]))


def test_every_draw_of_the_prior_decodes_to_a_genotype(explored):
    draws = explored.vae.ball.sample(200, torch.Generator().manual_seed(0))
    for arch in explored.decode(draws):
        assert SPACE.parse(arch.text).text == arch.text


def test_exploring_learns_to_write_architectures(explored):
    """Far more of their decisions come back than chance has."""
    archs = list(explored.population.representatives)
    rows = np.array([SPACE.choices(arch) for arch in archs])
    decoded = np.array([SPACE.choices(arch) for arch in explored.decode(explored.encode(archs))])
    guessed = (rows[1:] == rows[:-1]).mean()
    assert (rows == decoded).mean() > guessed + 0.2


def test_labels_rank_what_they_have_not_seen(explored):
    """A value that counts convolutions is learned from 60 labels."""
    archs = SPACE.sample(160, np.random.default_rng(9))
    values = np.array([SPACE.canonical(arch).text.count("conv") for arch in archs], dtype=float)
    before = explored.encode(archs)
    tuned = explored.tuned(archs[:60], values[:60], epochs=30)
    with torch.no_grad():
        scores = tuned.vae.score(tuned.encode(archs[60:])).numpy()
    assert kendalltau(scores, values[60:]).statistic > 0.4
    assert tuned.vae.config == explored.vae.config
    assert torch.equal(explored.encode(archs), before)
