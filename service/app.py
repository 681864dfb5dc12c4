"""The application: routes over a registry of models, with every error a problem."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from crlso.latent.bundle import load_bundle
from crlso.latent.model import Model
from crlso.search.ascent import optimize
from service import problems
from service.executors import make_executor
from service.jobs.dispatcher import Dispatcher
from service.jobs.kinds.base import Catalogue
from service.middleware import BodyLimit, RequestId
from service.registry import Registry
from service.routes import catalogue, health
from service.routes import jobs as job_paths
from service.routes import optimize as optimization
from service.routes import studies as study_paths
from service.security import Guard, SecurityHeaders
from service.settings import Settings
from service.solving import Solve, answer
from service.store.database import Database
from service.store.jobs import JobStore
from service.store.keys import KeyStore
from service.store.studies import StudyStore
from service.studies.desk import Desk
from service.supernets import Scorer, Supernets, load_supernet
from service.workers import Workers


def create_app(
    settings: Settings,
    load: Callable[[Path], Model] = load_bundle,
    solve: Solve = optimize,
    load_scorer: Callable[[Path], Scorer] = load_supernet,
) -> FastAPI:
    """Make the application.

    Args:
        settings: of this instance.
        load: reads a bundle.
        solve: answers a problem with a model; deterministic, and safe to call from several threads.
        load_scorer: reads a folder of a supernet.
    """
    registry, supernets = Registry(settings.models, load), Supernets(settings.supernets, load_scorer)
    workers = Workers(settings.workers, settings.max_waiting)
    database = Database(settings.database)
    studies, jobs, keys = StudyStore(database), JobStore(database), KeyStore(database)
    desk = Desk(studies, workers)
    dispatcher = Dispatcher(
        jobs,
        make_executor(settings),
        slots=settings.slots,
        lease=settings.lease,
        max_losses=settings.max_losses,
    )
    closing = asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(database.migrate)
        dispatcher.start()
        yield
        closing.set()
        await asyncio.to_thread(dispatcher.close)
        workers.close()
        database.close()

    app = FastAPI(
        title="crlso",
        version=version("crlso"),
        description="Proposes neural architectures by gradient ascent in a learned, concave latent space.",
        lifespan=lifespan,
        docs_url=None,  # both viewers load scripts from other hosts
        redoc_url=None,
    )
    app.state.registry, app.state.closing = registry, closing
    solved = partial(answer, registry=registry, supernets=supernets, solve=solve)
    app.include_router(optimization.make_router(solved, workers, jobs, settings.wait, settings.max_jobs))
    app.include_router(job_paths.make_router(jobs, Catalogue(registry, supernets), keys, settings.max_jobs, closing))
    app.include_router(study_paths.make_router(studies, desk, keys, settings.wait))
    app.include_router(catalogue.make_router(registry, supernets))
    app.include_router(health.make_router(registry))
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(
        Guard,
        keys=keys if settings.keyed else None,
        rate=settings.rate,
        burst=settings.burst,
        local=not settings.keyless,
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    problems.install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, in which errors have the media type that they are sent with."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        for methods in document["paths"].values():
            for operation in methods.values():
                for status, response in operation["responses"].items():
                    if not status.startswith("2"):
                        content = response["content"]
                        content[problems.MEDIA_TYPE] = content.pop("application/json") | content.get(
                            problems.MEDIA_TYPE, {}
                        )
        app.openapi_schema = document
    return app.openapi_schema
