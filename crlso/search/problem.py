"""What is asked of the optimiser and what it answers, as values that every front end shares.

The library, the command line and the service read the same models, so a limit or a default is stated once.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from crlso.exceptions import ProblemError


def _number(value: object) -> object:
    """Refuse a truth value and a text, either of which would pass for a number."""
    if isinstance(value, bool | str | bytes):
        raise ValueError(f"a number is needed, not {value!r:.100}")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Finite = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(_Value):
    """The metric to optimise; the model's own when left out."""

    metric: str = Field(description="a metric that the model has learned")
    direction: Literal["max", "min"] | None = Field(None, description="the metric's own direction when left out")


class Constraint(_Value):
    """A limit that every answer keeps exactly: on a cost, or on the predicted metric."""

    metric: str = Field(description="`params`, `flops` or the learned metric")
    min: Finite | None = Field(None, description="smallest value allowed")
    max: Finite | None = Field(None, description="largest value allowed")

    @model_validator(mode="after")
    def _bounds(self) -> Constraint:
        if self.min is None and self.max is None:
            raise ValueError("a constraint needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: nothing satisfies both")
        return self

    def admits(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class Problem(_Value):
    """One optimisation in a learned latent space.

    Attributes are the request of `POST /optimize` without the names of space and model.
    """

    objective: Objective | None = Field(None, description="the model's own metric when left out")
    constraints: tuple[Constraint, ...] = Field((), max_length=16)
    num_architectures: Whole = Field(8, ge=1, le=256, description="the most architectures to answer with")
    num_starts: Whole = Field(64, ge=1, le=1024, description="points from which the ascent starts")
    num_steps: Whole = Field(100, ge=1, le=1000, description="steps of the ascent from every start")
    start_from: tuple[str, ...] = Field(
        (), max_length=256, description="architectures whose latents are the first starts; the prior gives the rest"
    )
    exclude: tuple[str, ...] = Field(
        (), max_length=16384, description="architectures that must not be answered, their twins included"
    )
    seed: Whole = Field(0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _room_for_starts(self) -> Problem:
        if len(self.start_from) > self.num_starts:
            raise ValueError(f"{len(self.start_from)} architectures to start from need as many num_starts")
        return self


class Prediction(_Value):
    """The ensemble's view of an architecture, in the metric's unit."""

    mean: float
    std: float


class Bound(_Value):
    """Frank-Wolfe certificate of a latent point: no point of the latent ball has a better surrogate value."""

    value: float = Field(description="f(z), in the metric's unit")
    gap: float = Field(description="the most by which the surrogate could be better anywhere in the ball")
    bound: float = Field(description="value + gap where more is better, value - gap where less is")


class Start(_Value):
    """Where the ascent that found an architecture began."""

    index: int
    architecture: str | None = Field(description="the architecture of `start_from`, or null for a draw of the prior")


class Edge(_Value):
    """A typed edge of an architecture's graph."""

    source: int
    target: int
    type: str


class GraphView(_Value):
    """An architecture's graph with the space's names: absent edges are left out."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]


class Proposal(_Value):
    """One architecture proposed by the ascent, with the three values that show the manifold gap."""

    architecture: str = Field(description="the space's native notation")
    graph: GraphView
    predicted: Prediction = Field(description="f(encode(decode(z))): the surrogate at the architecture's own latent")
    at_latent: Bound = Field(description="f(z): the surrogate where the ascent was, and the bound of the whole ascent")
    measured: float | None = Field(description="the table's value, null where the model has no table or no row")
    params: int | None = Field(description="trainable numbers, null where no network of the space is known")
    flops: int | None = Field(description="multiply-adds of one forward pass, null likewise")
    latent: tuple[float, ...] = Field(description="z, the visited point that decodes to this architecture")
    start: Start
    svg: str


class Answer(_Value):
    """Proposals, best first by predicted mean, and what they can be traced to."""

    proposals: tuple[Proposal, ...]
    certificate: Bound = Field(description="the tightest bound over all visited points, at the surrogate's maximiser")
    visited: int = Field(description="distinct architectures decoded along the ascent")
    model: str
    digest: str = Field(description="SHA-256 of the model's manifest")
    seed: int
    elapsed_ms: float


def read_problem(**fields: Any) -> Problem:
    """A problem from plain values.

    Raises:
        ProblemError: a field that a problem does not have, or a value that it does not take.
    """
    try:
        return Problem.model_validate(fields)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ProblemError("; ".join(faults)) from error


def parse_limit(text: str) -> Constraint:
    """Read a limit such as `params<=4e5`.

    Raises:
        ProblemError: the text is no limit.
    """
    found = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*", text)
    try:
        if found is None:
            raise ValueError
        bound: dict[str, float] = {"max" if found[2] == "<=" else "min": float(found[3])}
        return Constraint.model_validate({"metric": found[1], **bound})
    except ValueError as error:
        raise ProblemError(f"{text!r} is no limit: write one as params<=400000 or val_accuracy>=90") from error
