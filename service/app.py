"""The application: its parts, the routes over them, and what every request passes through."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec

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
from service.schemas import OptimizeRequest
from service.security import Guard, SecurityHeaders
from service.settings import Settings
from service.solvers import Solvers
from service.solving import Solve, Solved, answer, seal
from service.store.database import Database, StoreError
from service.store.jobs import JobStore
from service.store.keys import KeyStore
from service.store.studies import StudyStore
from service.studies.desk import Desk
from service.supernets import Scorer, Supernets, load_supernet
from service.tracing import otlp, trace
from service.workers import Workers

_PAUSES = (0.5, 1, 2, 4, 8, 15, 30)  # seconds between attempts to reach the record when the service starts
_log = logging.getLogger(__name__)
P = ParamSpec("P")


class Parts:
    """What the routes are made over.

    Args:
        settings: of this instance.
        load: reads a bundle.
        load_scorer: reads a folder of a supernet.
        solvers: answer in processes of their own.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Path], Model],
        load_scorer: Callable[[Path], Scorer],
        solvers: Solvers | None,
    ) -> None:
        self.solvers = solvers
        self.registry = Registry(settings.models, load, settings.defaults)
        self.supernets = Supernets(settings.supernets, load_scorer)
        self.metrics, self.maps = Metrics(), Maps()
        self.workers = Workers(settings.workers, settings.max_waiting, self.metrics.worked_on)
        self.database = Database(settings.database)
        self.jobs, self.keys = JobStore(self.database), KeyStore(self.database)
        self.studies = StudyStore(self.database)
        self.metrics.observe(self.registry, self.jobs)
        self.desk = Desk(self.studies, self.workers)
        self.dispatcher = Dispatcher(
            self.jobs,
            make_executor(settings),
            slots=settings.slots,
            lease=settings.lease,
            max_losses=settings.max_losses,
        )
        self.closing = asyncio.Event()

    async def open(self) -> None:
        """Bring the record up to date, which may be away for a while, and see to the jobs.

        Raises:
            StoreError: it stays away.
        """
        for pause in _PAUSES:
            try:
                await asyncio.to_thread(self.database.migrate)
                break
            except StoreError as error:
                _log.warning("the record cannot be reached, trying again in %g s: %s", pause, error)
                await asyncio.sleep(pause)
        else:
            await asyncio.to_thread(self.database.migrate)
        self.dispatcher.start()
        if self.solvers is not None:
            self.solvers.start()

    async def close(self) -> None:
        """End streams, put jobs back, and let go of everything."""
        self.closing.set()
        await asyncio.to_thread(self.dispatcher.close)
        self.workers.close()
        if self.solvers is not None:
            self.solvers.close()
        self.database.close()


def create_app(
    settings: Settings,
    load: Callable[[Path], Model] = load_bundle,
    solve: ascents.SolveAloud = optimize,
    load_scorer: Callable[[Path], Scorer] = load_supernet,
    solvers: Solvers | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        settings: of this instance.
        load: reads a bundle.
        solve: answers a problem with a model; deterministic, and safe to call from several threads.
        load_scorer: reads a folder of a supernet.
        solvers: answer in place of `solve` where nobody looks on; started and closed with the application.
    """
    parts = Parts(settings, load, load_scorer, solvers)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.open()
        yield
        await parts.close()
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
    app.state.registry, app.state.closing = parts.registry, parts.closing
    _add_routes(app, parts, settings, solve)
    _add_guards(app, parts, settings)
    finish_tracing = trace(app, otlp(settings.otlp_endpoint)) if settings.otlp_endpoint else lambda: None
    problems.install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _add_routes(app: FastAPI, parts: Parts, settings: Settings, solve: ascents.SolveAloud) -> None:
    registry, supernets, jobs, keys = parts.registry, parts.supernets, parts.jobs, parts.keys
    most, there = settings.max_jobs, Catalogue(registry, supernets)

    def solved_here(request: OptimizeRequest, solve: Solve = solve) -> Solved:
        return seal(answer(request, registry, supernets, solve))

    def counted(solved: Callable[P, Solved]) -> Callable[P, bytes]:
        return lambda *args, **kwargs: parts.metrics.proposed(solved(*args, **kwargs))

    solved = counted(parts.solvers or solved_here)
    app.include_router(optimization.make_router(solved, parts.workers, jobs, settings.wait, most))
    app.include_router(job_paths.make_router(jobs, there, keys, most, parts.closing))
    app.include_router(study_paths.make_router(parts.studies, parts.desk, keys, settings.wait))
    app.include_router(ascents.make_router(counted(solved_here), parts.workers, parts.maps, solve))
    app.include_router(map_paths.make_router(registry, parts.maps, parts.workers))
    app.include_router(files.make_router(registry, parts.workers))
    app.include_router(model_paths.make_router(registry, keys, settings.max_upload_bytes))
    app.include_router(catalogue.make_router(registry, supernets))
    app.include_router(health.make_router(registry, parts.metrics, parts.database.check))
    app.router.routes.extend(page.routes())


def _add_guards(app: FastAPI, parts: Parts, settings: Settings) -> None:
    """What every request passes through; the last one added comes first."""
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        uploads=settings.max_upload_bytes,
        seconds=settings.body_seconds,
    )
    app.add_middleware(
        Guard,
        keys=parts.keys if settings.keyed else None,
        rate=settings.rate,
        burst=settings.burst,
        local=not settings.keyless,
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Measured, tell=parts.metrics.requested)
    app.add_middleware(RequestId)


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
