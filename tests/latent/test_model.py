"""A model answers in the metric's own unit and direction, of what it knows and of what it does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crlso.graphs import Forest
from crlso.networks import costs
from crlso.spaces.nasbench201 import NasBench201
from crlso.tables import Metric

SPACE = NasBench201()


@pytest.fixture(scope="module")
def stranger(model):
    """A cell of a class that the model was not trained on."""
    return next(arch for arch in SPACE.sample(1_000, np.random.default_rng(9)) if arch.key not in model.row_of)


def twin_of(model):
    """Another text of a known class, and its row."""
    for row, arch in enumerate(model.known):
        for other in SPACE.neighbours(arch):
            if other == arch and other.text != arch.text:
                return other, row
    raise AssertionError("no known class has twins")


def test_what_is_known_has_the_latent_it_was_saved_with(model):
    assert len(model.known) == len(model.latents) == len(model.row_of)
    assert torch.equal(model.encode(model.known[5:9]), model.latents[5:9])
    assert model.encode([]).shape == (0, model.ball.dims)


def test_latents_are_those_of_the_encoder(model):
    forest = Forest.of((arch.graph for arch in model.known), SPACE.schema)
    torch.testing.assert_close(model.vae.encode(forest), model.latents, rtol=1e-4, atol=1e-5)


def test_twins_have_one_latent(model):
    twin, row = twin_of(model)
    assert torch.equal(model.encode([twin])[0], model.latents[row])


def test_strangers_are_encoded_among_the_known(model, stranger):
    mixed = model.encode([model.known[3], stranger, model.known[3]])
    torch.testing.assert_close(mixed[0], model.latents[3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed[1], model.encode([stranger])[0], rtol=1e-4, atol=1e-5)
    assert not torch.isclose(mixed[1], mixed[0]).all()


def test_any_point_decodes_to_an_architecture(model):
    points = torch.cat([model.ball.sample(200, torch.Generator().manual_seed(0)), 1e4 * torch.randn(50, 4)])
    decoded = model.decode(points)
    assert len(decoded) == 250
    assert all(SPACE.parse(arch.text).text == arch.text for arch in decoded)
    assert len(set(decoded)) > 10


def test_predictions_are_in_the_metrics_direction(model):
    mean, std = model.predict(model.latents)
    assert (std >= 0).all()
    less = replace(model, metric=Metric("error", "min"))
    assert (model.sign, less.sign) == (1.0, -1.0)
    assert torch.equal(less.predict(model.latents)[0], -mean)
    assert torch.equal(less.predict(model.latents)[1], std)
    assert less.known_predictions.tolist() == (-mean).tolist()


def test_it_has_learned_something(model, accuracy):
    """The small model ranks the classes it was trained on far better than chance."""
    truth = np.array([accuracy(arch) for arch in model.known])
    assert np.corrcoef(model.known_predictions, truth)[0, 1] > 0.8


def test_costs_of_the_known_are_exact(model):
    assert model.known_costs["params"].tolist() == [costs(arch).params for arch in model.known]
    assert model.known_costs["flops"].tolist() == [costs(arch).flops for arch in model.known]


def test_measured_is_what_the_table_says_of_exactly_this_text(model, accuracy):
    assert model.measured(model.known[0]) is None, "every third class has no measurement"
    assert model.measured(model.known[1]) == accuracy(model.known[1])
    twin, _ = twin_of(model)
    assert model.measured(twin) is None
    assert replace(model, table=None).measured(model.known[1]) is None


def test_a_model_is_not_trained_further(model):
    assert not model.vae.training
    assert not any(parameter.requires_grad for parameter in model.vae.parameters())
