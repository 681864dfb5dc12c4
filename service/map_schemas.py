"""What the map of a model consists of: arrays for a picture, and one architecture in full."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from crlso.search.problem import Prediction

Order = Literal["predicted", "measured", "params", "flops"]


class ModelMap(BaseModel):
    """All architectures that a model knows, as columns: entry i of each is architecture i."""

    model: str
    digest: str
    space: str
    metric: str
    unit: str
    direction: Literal["max", "min"]
    x: list[float] = Field(description="place on a disc of radius one, the surrogate's maximiser in the middle")
    y: list[float]
    predicted: list[float]
    measured: list[float | None] = Field(description="null where the model's table has no value")
    params: list[int] | None = Field(description="null where no network of the space is known")
    flops: list[int] | None
    twins: list[int] = Field(description="architectures with the same number compute the same function")


class KnownArchitecture(BaseModel):
    """An architecture that a model knows."""

    index: int = Field(description="its entry in the map's columns")
    architecture: str = Field(description="the space's native notation")
    predicted: Prediction
    measured: float | None
    rank: int | None = Field(description="by measured value, 1 is the best; equal values share the better rank")
    params: int | None
    flops: int | None
    x: float
    y: float


class DrawnArchitecture(KnownArchitecture):
    """An architecture that a model knows, with its drawing."""

    svg: str
    twins: int = Field(description="known architectures that compute the same function, this one included")


class KnownList(BaseModel):
    """A page of a model's architectures, in the order that was asked for."""

    items: list[KnownArchitecture]
    next_page_token: str | None = Field(description="for the next page; null on the last one")
    total: int
