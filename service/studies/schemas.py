"""Requests and answers about studies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from crlso.search.problem import Constraint, Finite, Whole
from service.store.studies import Outcome, State, Study, Trial

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text that every database can keep."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=100_000, pattern=r"^[^\x00]+$")]
_MOST_TRIALS = 100_000
_CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


class Aim(BaseModel):
    """A value that clients tell, and whether more or less of it is better."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    direction: Literal["max", "min"] = "max"


class StudyPlan(BaseModel):
    """What makes a study the search that it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: Name = Field("nasbench201", description="one of GET /v1/spaces")
    strategy: Name = Field("crlso", description="who asks; an unknown name is answered with the known ones")
    metrics: tuple[Aim, ...] = Field((Aim(name="accuracy"),), min_length=1, max_length=4)
    reference: tuple[Finite, ...] | None = Field(
        None, description="a value of each metric than which none of interest is worse; needed for several metrics"
    )
    limits: tuple[Constraint, ...] = Field((), max_length=16, description="on params and flops")
    seed: Whole = Field(0, ge=0, lt=2**63)
    init: Whole = Field(10, ge=0, le=1000, description="random architectures to begin with")
    batch: Whole = Field(5, ge=1, le=100, description="architectures that the strategy thinks of at once")
    budget: Whole | None = Field(None, ge=1, le=_MOST_TRIALS, description="the most trials; no end when left out")

    @model_validator(mode="after")
    def _references(self) -> StudyPlan:
        if len({aim.name for aim in self.metrics}) < len(self.metrics):
            raise ValueError("two metrics have the same name")
        if (len(self.metrics) > 1) != (self.reference is not None):
            raise ValueError("`reference` is needed with several metrics, and with several only")
        if self.reference is not None and len(self.reference) != len(self.metrics):
            raise ValueError(f"`reference` has {len(self.reference)} values for {len(self.metrics)} metrics")
        return self


class StudyRequest(StudyPlan):
    """The request of `POST /v1/studies`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "digits", "space": "nasbench201", "budget": 100, "seed": 0}]}
    )

    name: Name = Field("study", description="for people; several studies may share one")

    @property
    def plan(self) -> StudyPlan:
        """The request without the name."""
        return StudyPlan.model_validate(self.model_dump(exclude={"name"}))


class StudyView(StudyPlan):
    """A study."""

    id: str
    name: str
    created: datetime
    counts: dict[State, int] = Field(description="trials by state")


class StudyList(BaseModel):
    """A page of studies, newest first."""

    items: list[StudyView]
    next_page_token: str | None


class TrialView(BaseModel):
    """An architecture of a study, and what is known of it."""

    number: int
    architecture: str
    state: State
    client_id: str | None = Field(description="who works on it or has worked on it")
    values: tuple[float, ...] | None = Field(description="one for each of the study's metrics, once told")
    created: datetime
    finished: datetime | None


class TrialList(BaseModel):
    """A page of trials, in the order of their numbers."""

    items: list[TrialView]
    next_page_token: str | None


class AskRequest(BaseModel):
    """The request of `POST /v1/studies/{study}/ask`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"client_id": "gpu-3", "count": 1}]})

    client_id: Name = Field(description="who asks: with trials it has not told yet, it gets the same ones again")
    count: Whole = Field(1, ge=1, le=100)


class Asked(BaseModel):
    """Trials to work on."""

    trials: list[TrialView]
    end: str | None = Field(description="why there are fewer than asked for; null where there are not")


class TellRequest(BaseModel):
    """The request of `POST /v1/studies/{study}/tell`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"trial": 1, "values": [93.2]},
                {"architecture": _CELL, "values": [94.1]},
                {"trial": 2, "state": "failed"},
            ]
        },
    )

    trial: Whole | None = Field(None, ge=1, lt=2**31, description="number of a trial")
    architecture: Text | None = Field(None, description="instead: any architecture of the space, asked for or not")
    state: Outcome = Field("done", description="what came of it")
    values: tuple[Finite, ...] | None = Field(None, max_length=4, description="one for each of the study's metrics")

    @model_validator(mode="after")
    def _complete(self) -> TellRequest:
        if (self.trial is None) == (self.architecture is None):
            raise ValueError("give one of `trial` and `architecture`")
        if (self.state == "done") != (self.values is not None):
            raise ValueError("`values` belong to a trial that is done, and only to that")
        return self


class Best(BaseModel):
    """The best trial so far, or those of several metrics that no other beats in all."""

    trials: list[TrialView]


class StudyHistory(BaseModel):
    """The record as `crlso search` writes it to a file."""

    model_config = ConfigDict(extra="allow")

    space: str
    strategy: str
    history: list[dict[str, Any]]
    pending: list[dict[str, Any]]


def at(seconds: float) -> datetime:
    """A moment, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def show_study(study: Study) -> StudyView:
    """A study as answers have it."""
    return StudyView.model_validate(
        {**study.plan, "id": study.id, "name": study.name, "created": at(study.created), "counts": study.counts}
    )


def show_trial(trial: Trial) -> TrialView:
    """A trial as answers have it."""
    finished = None if trial.finished is None else at(trial.finished)
    return TrialView(**{**vars(trial), "created": at(trial.created), "finished": finished})
