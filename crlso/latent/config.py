"""Settings of a latent space: what is built and how it is trained. `config.json` of a bundle is one of these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from crlso.exceptions import unknown
from crlso.settings import make_settings

Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]


class LatentConfig(BaseModel):
    """Shape, losses and schedule; the defaults are the measured best on NAS-Bench-201 (docs/results)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    objective: Literal["volume-matched", "cr-lso"] = Field(
        "volume-matched", description="latents placed by quantile in a ball, or the published G-VAE objective"
    )
    encoder: Literal["expressions", "places"] = Field(
        "expressions", description="what is encoded: shared expressions, or the nodes of the canonical graph"
    )
    population: PositiveInt = Field(100_000, description="classes sampled where the space is too large to enumerate")
    latent: PositiveInt = Field(10, description="Z")
    hidden: PositiveInt = Field(128, description="width of encoder and heads")
    decoder_hidden: PositiveInt = 192
    by_volume: bool = Field(False, description="learn the share of the ball that lies further inside, not the radius")
    members: PositiveInt = Field(4, description="M, concave networks in the ensemble")
    icnn_hidden: PositiveInt = 64
    icnn_layers: PositiveInt = 2
    icnn_activation: Literal["squareplus", "leaky_relu"] = "squareplus"

    posterior_std: PositiveFloat = Field(0.2, description="σ of the noise on latents that are decoded in training")
    reconstruction: NonNegativeFloat = 1.5
    radius: NonNegativeFloat = Field(2.0, description="weight of the radius loss")
    score: NonNegativeFloat = Field(20.0, description="weight of the score loss, in units of the score")
    quantile: NonNegativeFloat = Field(3.0, description="weight of radius and score losses in quantiles")
    volume: NonNegativeFloat = Field(10.0, description="weight of volume matching of the concave head over the prior")
    tessellation: NonNegativeFloat = Field(1.0, description="weight of decoding the ball to nearest architectures")
    divergence: NonNegativeFloat = Field(0.0, description="β of the Kullback-Leibler term")
    cost: NonNegativeFloat = Field(0.3, description="weight of the auxiliary cost heads")

    epochs: PositiveInt = 140
    batch: PositiveInt = 256
    learning_rate: PositiveFloat = 8e-3
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 1e-2
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    clip_norm: PositiveFloat = 5.0


PRESETS: dict[str, LatentConfig] = {
    "default": LatentConfig(),
    "listed": LatentConfig(epochs=30),
    "large": LatentConfig(
        encoder="places",
        latent=32,
        hidden=256,
        decoder_hidden=256,
        by_volume=True,
        posterior_std=0.1,
        quantile=20.0,
        reconstruction=15.0,
        tessellation=0.0,
        epochs=20,
        learning_rate=1e-2,
        weight_decay=1e-4,
    ),
    "paper": LatentConfig(
        objective="cr-lso",
        latent=16,
        hidden=256,
        members=1,
        icnn_hidden=128,
        icnn_layers=5,
        icnn_activation="leaky_relu",
        posterior_std=0.01,
        reconstruction=1.0,
        radius=0.0,
        score=1.0,
        quantile=0.0,
        volume=0.0,
        tessellation=0.0,
        divergence=0.005,
        cost=0.0,
        epochs=200,
        learning_rate=1e-4,
        betas=(0.0, 0.5),
        weight_decay=3e-5,
        schedule="cosine",
    ),
}
"""`paper` has the settings of the released CR-LSO code for NAS-Bench-201 (docs/paper-map.md)."""


def configure(preset: str, changes: Iterable[str] = ()) -> LatentConfig:
    """A preset with some settings changed.

    Args:
        preset: its name.
        changes: `name=value` each, the value as JSON or as plain text.

    Raises:
        UnknownNameError: no such preset or setting; the message lists the known ones.
        ProblemError: a value that the setting does not take.
    """
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return make_settings(LatentConfig, PRESETS[preset].model_dump(), changes)
