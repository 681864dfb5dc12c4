"""What is kept is what would be learned, is learned once, and is never believed when it should not be."""

import numpy as np
import pytest
import torch

from crlso.latent import cache
from crlso.latent.cache import kept
from crlso.latent.config import PRESETS
from crlso.latent.space import explore
from crlso.spaces import get_space

SPACE = get_space("mobile")
SMALL = PRESETS["large"].model_copy(
    update={"population": 200, "latent": 8, "hidden": 16, "decoder_hidden": 16, "epochs": 1}
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CRLSO_CACHE", str(tmp_path / "new"))
    return tmp_path / "new"


@pytest.fixture
def learned(monkeypatch):
    """How often something was learned."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return explore(*args, **kwargs)

    monkeypatch.setattr(cache, "explore", counted)
    return calls


def test_what_is_kept_is_what_was_learned(folder, learned):
    first, again = kept(SPACE, SMALL), kept(SPACE, SMALL)
    assert len(learned) == 1
    archs = SPACE.sample(20, np.random.default_rng(0))
    assert torch.equal(first.encode(archs), again.encode(archs))
    z = first.vae.ball.sample(20, torch.Generator().manual_seed(0))
    assert first.decode(z) == again.decode(z)
    assert first.population.representatives == again.population.representatives
    np.testing.assert_array_equal(first.costs, again.costs)
    assert not any(weight.requires_grad for weight in again.vae.parameters())


def test_other_settings_or_other_code_are_learned_anew(folder, learned, monkeypatch):
    kept(SPACE, SMALL)
    kept(SPACE, SMALL.model_copy(update={"latent": 4}))
    monkeypatch.setattr(cache, "_code", lambda: "changed")
    kept(SPACE, SMALL)
    assert len(learned) == 3
    assert len(list(folder.iterdir())) == 3


def test_a_damaged_file_is_replaced(folder, learned):
    kept(SPACE, SMALL)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="learned anew"):
        kept(SPACE, SMALL)
    kept(SPACE, SMALL)
    assert len(learned) == 2


def test_without_a_place_to_keep_it_the_search_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CRLSO_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="CRLSO_CACHE"):
        assert len(kept(SPACE, SMALL).population) == 200
