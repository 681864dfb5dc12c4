"""Requests and answers about jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from service.jobs.kinds.evaluate import EvaluateRequest
from service.jobs.kinds.optimize import OptimizeJob
from service.jobs.kinds.search import SearchRequest
from service.jobs.kinds.supernet import SupernetRequest
from service.jobs.kinds.train import TrainRequest
from service.store.jobs import Job, State
from service.studies.schemas import at

AnyRequest = TrainRequest | SearchRequest | SupernetRequest | EvaluateRequest | OptimizeJob


class JobSubmission(RootModel[Annotated[AnyRequest, Field(discriminator="kind")]]):
    """The request of `POST /v1/jobs`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "train", "name": "few", "space": "nasbench201", "dataset": "cifar10", "labels": 300},
                {"kind": "search", "space": "nasbench201", "dataset": "cifar10", "strategy": "crlso", "budget": 50},
                {"kind": "supernet", "name": "digits", "method": "dnad", "preset": "small"},
                {"kind": "optimize", "num_architectures": 4, "seed": 0},
            ]
        }
    )


class Progress(BaseModel):
    """How far a job has come; further fields are figures of its kind, such as `loss`."""

    model_config = ConfigDict(extra="allow")

    done: int
    total: int | None
    message: str


class JobView(BaseModel):
    """Work that outlives the request that asked for it."""

    id: str
    kind: str
    state: State
    request: dict[str, Any]
    progress: Progress | None
    attempt: int = Field(description="how often somebody has begun to work at it")
    cancelled: bool = Field(description="whether it is to end as soon as its worker notices")
    error: str | None = Field(description="why it has failed")
    created: datetime
    started: datetime | None
    finished: datetime | None


class JobList(BaseModel):
    """A page of jobs, newest first."""

    items: list[JobView]
    next_page_token: str | None


class JobResult(RootModel[dict[str, Any]]):
    """What a job has made; the fields are those of its kind."""


def show_job(job: Job) -> JobView:
    """A job as answers have it."""
    shown = vars(job) | {"created": at(job.created)}
    for name in ("started", "finished"):
        shown[name] = None if getattr(job, name) is None else at(getattr(job, name))
    return JobView.model_validate(shown)
