"""The picture of a latent space: what is drawn where, and that nothing of it is left to chance."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crlso.latent.atlas import Atlas, Projection


@pytest.fixture(scope="module")
def atlas(model):
    return Atlas.of(model)


def test_every_row_of_the_table_and_every_class_beside_it_is_there_once(model, atlas):
    texts = [arch.text for arch in atlas.architectures]
    assert texts[: len(model.table)] == list(model.table.texts)
    assert len(set(texts)) == len(texts) == len(atlas.index)
    assert {arch.key for arch in atlas.architectures} == {arch.key for arch in model.known}
    assert all(atlas.index[text] == row for row, text in enumerate(texts))


def test_a_row_says_what_is_true_of_its_architecture(model, atlas):
    mean, deviation = model.predict(model.encode(atlas.architectures))
    np.testing.assert_allclose(atlas.predicted, mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(atlas.deviation, deviation.numpy(), rtol=1e-6)
    for row in (0, 7, len(atlas.architectures) - 1):
        arch, measured = atlas.architectures[row], atlas.measured[row]
        assert (None if np.isnan(measured) else measured) == model.measured(arch)
        assert {name: column[row] for name, column in atlas.costs.items()} == model.costs(arch)


def test_the_radius_is_the_share_of_the_ball_within(model):
    z = model.ball.sample(2000, torch.Generator().manual_seed(0))
    places = Projection.of(model)(z)
    np.testing.assert_allclose((places**2).sum(axis=1), model.ball.share(z).numpy(), rtol=1e-5)


def test_what_fills_the_ball_evenly_fills_the_disc_evenly(model):
    radius = np.linalg.norm(Projection.of(model)(model.ball.sample(20_000, torch.Generator().manual_seed(1))), axis=1)
    for part in (0.1, 0.3, 0.5, 0.9):
        assert (radius < part).mean() == pytest.approx(part**2, abs=0.01)


def test_the_centre_is_the_centre(model):
    np.testing.assert_allclose(Projection.of(model)(torch.zeros(1, model.ball.dims)), 0)


def test_directions_spread_all_around(model):
    known = Projection.of(model)(model.latents)
    quarters = {(x > 0, y > 0) for x, y in known.tolist()}
    assert len(quarters) == 4


def test_the_same_model_has_the_same_picture(model, atlas):
    np.testing.assert_array_equal(Atlas.of(model).places, atlas.places)


def test_twins_have_one_place_and_stand_around_it(model):
    space = model.space
    whole = replace(model, table=None, known=tuple(space.enumerate())[:400], latents=torch.ones(400, model.ball.dims))
    atlas = Atlas.of(whole)
    assert len(atlas.architectures) == 400
    for number in range(atlas.classes.max() + 1):
        twins = atlas.classes == number
        assert len({atlas.architectures[row].key for row in np.flatnonzero(twins)}) == 1
        assert len(np.unique(atlas.predicted[twins])) == 1
    assert len(np.unique(atlas.places.round(9), axis=0)) >= len(np.unique(np.bincount(atlas.classes)))
    largest = np.flatnonzero(atlas.classes == np.bincount(atlas.classes).argmax())
    apart = np.linalg.norm(atlas.places[largest, None] - atlas.places[None, largest], axis=2)
    assert apart[~np.eye(len(largest), dtype=bool)].min() > 0.01


def test_a_space_without_networks_has_no_costs(model, monkeypatch):
    monkeypatch.setattr("crlso.latent.atlas.cost_names", lambda space: ())
    monkeypatch.setattr("crlso.latent.atlas.count_costs", lambda space, archs: np.zeros((len(archs), 0)))
    assert Atlas.of(model).costs == {}
