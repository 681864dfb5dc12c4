"""Requests and answers of the HTTP interface; problems and proposals are the library's own models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from crlso.search.problem import Answer, Problem, Proposal

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class OptimizeRequest(Problem):
    """The request of `POST /optimize`: a problem, and in which space and by which model to solve it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"num_architectures": 8, "seed": 0},
                {
                    "space": "nasbench201",
                    "model": "nasbench201-cifar10",
                    "constraints": [{"metric": "params", "max": 400000}],
                    "num_architectures": 4,
                    "start_from": [CELL],
                },
            ]
        }
    )

    space: str = Field("nasbench201", description="one of GET /v1/spaces")
    model: str | None = Field(
        None, description="one of GET /v1/models; may be left out where the space has only one model"
    )
    evaluator: str | None = Field(
        None,
        pattern="^supernet:.+$",
        description="supernet:NAME with one of GET /v1/supernets, to score what is proposed",
    )


class OneShot(BaseModel):
    """How an architecture does with a supernet's weights, on images held out of their training: a guess."""

    loss: float = Field(description="mean cross-entropy in nats; it orders better than the accuracy")
    accuracy: float = Field(description="percent")


class ScoredProposal(Proposal):
    """A proposal, and what the request's evaluator says of it."""

    evaluated: OneShot | None = Field(
        None, description="null without an evaluator, and where the supernet has no weights for the architecture"
    )


class OptimizeResponse(Answer):
    """The answer of `POST /optimize`, with the unit of its predictions and the scores of its evaluator."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "space": "nasbench201",
                    "metric": "val_accuracy",
                    "unit": "percent",
                    "proposals": [
                        {
                            "architecture": CELL,
                            "graph": {
                                "nodes": ["input", "sum", "sum", "output"],
                                "edges": [{"source": 0, "target": 1, "type": "nor_conv_3x3"}],
                            },
                            "predicted": {"mean": 91.48, "std": 0.07},
                            "at_latent": {"value": 91.51, "gap": 0.03, "bound": 91.54},
                            "measured": 91.53,
                            "evaluated": {"loss": 0.98, "accuracy": 65.1},
                            "params": 1073466,
                            "flops": 153273344,
                            "latent": [0.12, -0.4],
                            "start": {"index": 0, "architecture": CELL},
                            "svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
                        }
                    ],
                    "certificate": {"value": 91.52, "gap": 0.01, "bound": 91.53},
                    "visited": 287,
                    "model": "nasbench201-cifar10",
                    "digest": _DIGEST,
                    "seed": 0,
                    "elapsed_ms": 41.7,
                    "evaluator": "supernet:paths",
                    "evaluator_digest": _DIGEST,
                }
            ]
        }
    )

    proposals: tuple[ScoredProposal, ...]
    space: str
    metric: str = Field(description="what `predicted`, `at_latent`, `measured` and `certificate` are values of")
    unit: str
    evaluator: str | None = None
    evaluator_digest: str | None = Field(None, description="SHA-256 of the supernet, its settings and its images")


class GraphVocabulary(BaseModel):
    """Names of what the space's graphs are made of."""

    num_nodes: int = Field(description="the most nodes a graph has")
    node_types: tuple[str, ...]
    edge_types: tuple[str, ...] = Field(description="the first one means that there is no edge")


class SpaceCard(BaseModel):
    """What can be searched."""

    name: str
    size: int = Field(description="architectures, isomorphic twins counted apart")
    notation: str = Field(description="what the space's texts look like")
    vocabulary: GraphVocabulary
    example: str = Field(description="one architecture in the space's notation")


class SpaceList(BaseModel):
    """All search spaces."""

    spaces: list[SpaceCard]


class ModelCard(BaseModel):
    """What a model has learned, and from what."""

    name: str
    space: str
    metric: str
    unit: str
    direction: Literal["max", "min"]
    digest: str = Field(description="SHA-256 of the manifest; with request and seed it determines every answer")


class ModelDetail(ModelCard):
    """A model with the record of its training."""

    manifest: dict[str, Any] = Field(description="data, seed, versions and the training's own metrics")


class ModelList(BaseModel):
    """All models of the service's directory."""

    models: list[ModelCard]
    unavailable: dict[str, str] = Field(description="models that do not load, each with the reason")


class SupernetCard(BaseModel):
    """What can score architectures of a space."""

    name: str
    space: str
    digest: str = Field(description="SHA-256 of settings, weights and images; it determines every score")


class SupernetList(BaseModel):
    """All supernets of the service's directory."""

    supernets: list[SupernetCard]
    unavailable: dict[str, str] = Field(description="folders that do not load, each with the reason")


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """At least one model answers."""

    status: Literal["ready"] = "ready"
    models: list[str]
    unavailable: dict[str, str] = Field(description="models that do not load, each with the reason")


class FieldError(BaseModel):
    """One fault of a request."""

    pointer: str | None = Field(None, description="JSON pointer (RFC 6901) into the request's body")
    parameter: str | None = Field(None, description="of the path, the query or the header instead")
    detail: str


class ProblemDetail(BaseModel):
    """An error as RFC 9457 has it."""

    type: str = Field(description="where this kind of error is explained")
    title: str
    status: int
    detail: str = Field(description="what is wrong in this request and what would be right")
    request_id: str
    errors: list[FieldError] | None = Field(None, description="the faults of a request, first ones only if many")
    unavailable: dict[str, str] | None = Field(None, description="models that do not load, each with the reason")


class ProblemType(BaseModel):
    """A kind of error."""

    type: str
    title: str
    status: int
    description: str
