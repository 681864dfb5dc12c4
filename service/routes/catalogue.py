"""What can be asked for: search spaces, models, and the kinds of error that an answer may name."""

from __future__ import annotations

import inspect

import numpy as np
from fastapi import APIRouter

from crlso.exceptions import unknown
from crlso.latent.model import Model
from crlso.spaces import SearchSpace, get_space, space_names
from service import problems
from service.registry import Registry
from service.schemas import (
    GraphVocabulary,
    ModelCard,
    ModelDetail,
    ModelList,
    ProblemType,
    SpaceCard,
    SpaceList,
    SupernetCard,
    SupernetList,
)
from service.supernets import Supernets


def make_router(registry: Registry, supernets: Supernets) -> APIRouter:
    """Read-only paths."""
    router = APIRouter(tags=["catalogue"], responses=problems.declare(problems.INTERNAL))

    @router.get("/v1/spaces")
    def list_spaces() -> SpaceList:
        """All search spaces, with the notation of their architectures."""
        registry.check()  # models bring the spaces that users have described
        return SpaceList(spaces=[_space_card(get_space(name)) for name in space_names()])

    @router.get("/v1/models")
    def list_models() -> ModelList:
        """All models, those that do not load apart."""
        models, faults = registry.check()
        return ModelList(models=[model_card(model) for model in models.values()], unavailable=faults)

    @router.get("/v1/models/{name}", responses=problems.declare(problems.UNKNOWN_NAME, problems.NO_MODEL))
    def show_model(name: str) -> ModelDetail:
        """One model and the record of its training."""
        model = registry.get(name)
        return ModelDetail(**dict(model_card(model)), manifest=dict(model.manifest))

    @router.get("/v1/supernets")
    def list_supernets() -> SupernetList:
        """All supernets that can score architectures, those that do not load apart."""
        found, faults = supernets.check()
        cards = [SupernetCard(name=one.name, space=one.space, digest=one.digest) for one in found.values()]
        return SupernetList(supernets=cards, unavailable=faults)

    @router.get("/problems/{slug}", responses=problems.declare(problems.UNKNOWN_NAME))
    def explain_problem(slug: str) -> ProblemType:
        """What a kind of error means: the target of every problem's `type`."""
        if slug not in problems.KINDS:
            raise unknown("problem", slug, problems.KINDS)
        kind = problems.KINDS[slug]
        return ProblemType(type=kind.type, title=kind.title, status=kind.status, description=kind.description)

    return router


def _space_card(space: SearchSpace) -> SpaceCard:
    schema = space.schema
    return SpaceCard(
        name=space.name,
        size=space.size,
        notation=inspect.getdoc(type(space)) or space.name,
        vocabulary=GraphVocabulary(
            num_nodes=schema.num_nodes, node_types=schema.node_types, edge_types=schema.edge_types
        ),
        example=space.sample(1, np.random.default_rng(0))[0].text,
    )


def model_card(model: Model) -> ModelCard:
    """A model as lists have it."""
    return ModelCard(
        name=model.name,
        space=model.space.name,
        metric=model.metric.name,
        unit=model.metric.unit,
        direction=model.metric.direction,
        digest=model.digest,
    )
