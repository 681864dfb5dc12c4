"""The application: routes over a registry of models, with every error a problem."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from crlso.latent.bundle import load_bundle
from crlso.latent.model import Model
from crlso.search.ascent import optimize
from service import problems
from service.executors import make_executor
from service.jobs.dispatcher import Dispatcher
from service.jobs.kinds.base import Catalogue
from service.maps import Maps
from service.metrics import Measured, Metrics
from service.middleware import BodyLimit, RequestId
from service.registry import Registry
from service.routes import ascents, catalogue, files, health, page
from service.routes import jobs as job_paths
from service.routes import maps as map_paths
from service.routes import models as model_paths
from service.routes import optimize as optimization
from service.routes import studies as study_paths
from service.schemas import OptimizeRequest, OptimizeResponse
from service.security import Guard, SecurityHeaders
from service.settings import Settings
from service.solving import Solve, answer
from service.store.database import Database
from service.store.jobs import JobStore
from service.store.keys import KeyStore
from service.store.studies import StudyStore
from service.studies.desk import Desk
from service.supernets import Scorer, Supernets, load_supernet
from service.tracing import otlp, trace
from service.workers import Workers


def create_app(
    settings: Settings,
    load: Callable[[Path], Model] = load_bundle,
    solve: ascents.SolveAloud = optimize,
    load_scorer: Callable[[Path], Scorer] = load_supernet,
) -> FastAPI:
    """Make the application.

    Args:
        settings: of this instance.
        load: reads a bundle.
        solve: answers a problem with a model; deterministic, and safe to call from several threads.
        load_scorer: reads a folder of a supernet.
    """
    registry, supernets = Registry(settings.models, load, settings.defaults), Supernets(settings.supernets, load_scorer)
    metrics, maps = Metrics(), Maps()
    workers = Workers(settings.workers, settings.max_waiting, metrics.worked_on)
    database = Database(settings.database)
    studies, jobs, keys = StudyStore(database), JobStore(database), KeyStore(database)
    metrics.observe(registry, jobs)
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
        finish_tracing()

    app = FastAPI(
        title="crlso",
        version=version("crlso"),
        description="Proposes neural architectures by gradient ascent in a learned, concave latent space.",
        lifespan=lifespan,
        generate_unique_id_function=_operation,
        docs_url=None,  # both viewers load scripts from other hosts
        redoc_url=None,
    )
    app.state.registry, app.state.closing = registry, closing

    def solved(request: OptimizeRequest, solve: Solve = solve) -> OptimizeResponse:
        return metrics.proposed(answer(request, registry, supernets, solve))

    app.include_router(optimization.make_router(solved, workers, jobs, settings.wait, settings.max_jobs))
    app.include_router(job_paths.make_router(jobs, Catalogue(registry, supernets), keys, settings.max_jobs, closing))
    app.include_router(study_paths.make_router(studies, desk, keys, settings.wait))
    app.include_router(ascents.make_router(solved, workers, maps, solve))
    app.include_router(map_paths.make_router(registry, maps, workers))
    app.include_router(files.make_router(registry, workers))
    app.include_router(model_paths.make_router(registry, keys, settings.max_upload_bytes))
    app.include_router(catalogue.make_router(registry, supernets))
    app.include_router(health.make_router(registry, metrics, database.check))
    app.router.routes.extend(page.routes())
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        uploads=settings.max_upload_bytes,
        seconds=settings.body_seconds,
    )
    app.add_middleware(
        Guard,
        keys=keys if settings.keyed else None,
        rate=settings.rate,
        burst=settings.burst,
        local=not settings.keyless,
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Measured, tell=metrics.requested)
    app.add_middleware(RequestId)
    finish_tracing = trace(app, otlp(settings.otlp_endpoint)) if settings.otlp_endpoint else lambda: None
    problems.install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _operation(route: APIRoute) -> str:
    """The id of an operation, of its method and path: `post_v1_studies_study_ask`."""
    method = "_".join(sorted(route.methods or ()))
    return re.sub(r"\W+", "_", f"{method.lower()}{route.path_format}").strip("_")


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
                        found = {
                            kind: value for content in response["content"].values() for kind, value in content.items()
                        }
                        response["content"] = {problems.MEDIA_TYPE: found}
        app.openapi_schema = document
    return app.openapi_schema
