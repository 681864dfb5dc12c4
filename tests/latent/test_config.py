"""Settings are what they are named, and a wrong one is answered with the right ones."""

import pytest
from pydantic import ValidationError

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.latent.config import PRESETS, LatentConfig, configure


def test_presets_by_name():
    assert configure("default") == LatentConfig()
    assert configure("paper") == PRESETS["paper"]
    assert configure("paper").objective == "cr-lso"


def test_the_papers_preset_has_the_settings_of_the_released_code():
    paper = PRESETS["paper"]
    assert (paper.latent, paper.hidden, paper.members, paper.icnn_layers) == (16, 256, 1, 5)
    assert (paper.epochs, paper.batch, paper.learning_rate, paper.betas) == (200, 256, 1e-4, (0.0, 0.5))
    assert (paper.divergence, paper.reconstruction, paper.icnn_activation) == (0.005, 1.0, "leaky_relu")


def test_changes_are_read_as_json_or_as_text():
    changed = configure("default", ["latent=5", "learning_rate=1e-3", "betas=[0.5, 0.9]", "schedule=cosine"])
    assert changed == LatentConfig(latent=5, learning_rate=1e-3, betas=(0.5, 0.9), schedule="cosine")
    assert configure("default", ["latent=3", "latent=4"]).latent == 4
    assert configure("default", ['schedule="cosine"']).schedule == "cosine"


def test_a_config_survives_json():
    for preset in PRESETS.values():
        assert LatentConfig.model_validate_json(preset.model_dump_json()) == preset


@pytest.mark.parametrize(
    ("preset", "change", "error", "message"),
    [
        ("papre", "latent=5", UnknownNameError, "unknown preset 'papre'; known: default, large, listed, paper"),
        ("default", "laten=5", UnknownNameError, "unknown setting 'laten'; known: .*epochs.*latent"),
        ("default", "", UnknownNameError, "unknown setting ''; known: "),
        ("default", "latent=0", ProblemError, "latent: .*greater than 0"),
        ("default", "latent=ten", ProblemError, "latent: .*integer"),
        ("default", "latent", ProblemError, "write name=value"),
        ("default", "radius=-1", ProblemError, "radius: .*greater than or equal to 0"),
        ("default", "betas=[0.9]", ProblemError, "betas.1: Field required"),
        ("default", "schedule=linear", ProblemError, "schedule: .*'one-cycle' or 'cosine'"),
        ("default", "objective=best", ProblemError, "objective: .*'volume-matched' or 'cr-lso'"),
        ("default", "learning_rate=NaN", ProblemError, "learning_rate: "),
        ("default", "learning_rate=Infinity", ProblemError, "learning_rate: "),
        ("default", "betas=[0.9, 1.0]", ProblemError, "betas"),
    ],
)
def test_what_is_no_setting_is_refused_with_those_that_are(preset, change, error, message):
    with pytest.raises(error, match=message):
        configure(preset, [change])


def test_settings_are_frozen_and_known():
    with pytest.raises(ValidationError):
        LatentConfig().latent = 3
    with pytest.raises(ValidationError):
        LatentConfig(laten=3)
