"""A service over small stand-in models that answer without any learning."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from crlso.exceptions import BundleError, ProblemError
from crlso.latent.geometry import Ball
from crlso.latent.model import Model
from crlso.search.problem import Answer, Bound, GraphView, Prediction, Proposal, Start
from crlso.spaces import get_space
from crlso.supernet.scoring import Score
from crlso.tables import Metric
from service.app import create_app
from service.settings import Settings
from service.store.database import Database
from service.testing import PostgresAbsentError, postgres

METRIC = Metric("val_accuracy", unit="percent")


SPACE, BALL = get_space("nasbench201"), Ball(dims=8, radius=2.0)
LATENTS = BALL.sample(12, torch.Generator().manual_seed(0))


@dataclass(frozen=True, eq=False)
class StandIn(Model):
    """A model without networks: latents and predictions are made up."""

    name: str
    space: Any = SPACE
    metric: Metric = METRIC
    vae: Any = None
    known: tuple = tuple(SPACE.sample(12, np.random.default_rng(0)))
    latents: Any = LATENTS
    table: Any = None
    manifest: dict = field(default_factory=lambda: {"seed": 0, "metrics": {"holdout_tau": 0.91}})
    digest: str = "d" * 64

    @property
    def ball(self):
        return BALL

    def predict(self, z):
        return -z.norm(dim=-1), torch.zeros(len(z))


def load(path):
    """A folder with a file `sound` is a model."""
    if not (path / "sound").exists():
        raise BundleError(f"{path.name}: the digest does not fit; train the model again")
    return StandIn(path.name)


def solve(model, problem, progress=None):
    """Random architectures of the problem's seed."""
    for text in (*problem.start_from, *problem.exclude):
        model.space.parse(text)
    found = model.space.sample(problem.num_architectures, np.random.default_rng(problem.seed))
    if progress is not None:
        for step in range(problem.num_steps + 1):
            progress(step, torch.zeros(problem.num_starts, 8))
    bound = Bound(value=91.0, gap=0.5, bound=91.5)
    proposals = tuple(
        Proposal(
            architecture=arch.text,
            graph=GraphView(nodes=("input", "output"), edges=()),
            predicted=Prediction(mean=91.0, std=0.1),
            at_latent=bound,
            measured=None,
            params=1,
            flops=2,
            latent=(0.0,) * 8,
            start=Start(index=0, architecture=None),
            svg="<svg/>",
        )
        for arch in found
    )
    return Answer(
        proposals=proposals,
        certificate=bound,
        visited=len(found),
        model=model.name,
        digest=model.digest,
        seed=problem.seed,
        elapsed_ms=1.0,
    )


@pytest.fixture
def models(tmp_path) -> Path:
    """A directory with one sound model, `alpha`."""
    add_model(tmp_path / "models", "alpha")
    return tmp_path / "models"


def add_model(directory, name, *, sound=True):
    (directory / name).mkdir(parents=True)
    (directory / name / ("sound" if sound else "broken")).touch()


@pytest.fixture
def add(models):
    """Adds a model to the directory: `add(name, sound=True)`."""
    return lambda name, **options: add_model(models, name, **options)


@dataclass
class StandInScorer:
    """Has what the service asks of a supernet, and no weights for cells with a "none"."""

    name: str
    space: str
    digest: str = "e" * 64

    def score(self, arch):
        if "none" in arch.text:
            raise ProblemError("it died")
        return Score(50.0, float(len(arch.text)))


def load_scorer(path):
    """A folder with a file `space` is a supernet of the space that it names."""
    if not (path / "space").exists():
        raise BundleError(f"{path.name} holds no run of a supernet")
    return StandInScorer(path.name, (path / "space").read_text())


@pytest.fixture
def add_supernet(tmp_path):
    """Adds a supernet to the directory: `add_supernet(name, space="nasbench201", sound=True)`."""

    def add(name, space="nasbench201", *, sound=True):
        (tmp_path / "supernets" / name).mkdir(parents=True)
        if sound:
            (tmp_path / "supernets" / name / "space").write_text(space)

    return add


@pytest.fixture
def make_client(models):
    """Makes a client of a service with the given settings and solver."""

    def make(solve=solve, **settings):
        there = Settings(
            **{"models": models, "supernets": models.parent / "supernets", "data": models.parent / "data"} | settings
        )
        app = create_app(there, load=load, solve=solve, load_scorer=load_scorer)
        return TestClient(app, "http://localhost", raise_server_exceptions=False)

    return make


@pytest.fixture
def client(make_client):
    """A client of the service as it is by default."""
    with make_client() as client:
        yield client


@pytest.fixture(scope="session")
def real(bundle, tmp_path_factory):
    """A client of the service with a model that has learned something, `small`."""
    settings = Settings(models=bundle.parent, data=tmp_path_factory.mktemp("real"))
    with TestClient(create_app(settings), "http://localhost") as client:
        yield client


@pytest.fixture
def post_messages():
    """Posts to a path what a coroutine function gives as messages; the messages that came back, head first."""

    def post(client, receive, path="/optimize"):
        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        client.portal.call(client.app, scope, receive, send)
        return sent

    return post


@pytest.fixture
def stand_in():
    """The loader and the solver of the stand-in models."""
    return SimpleNamespace(load=load, solve=solve)


@pytest.fixture
def check_problem():
    """Asserts that a response is a problem of that status and slug, and returns its content."""

    def check(response, status, slug):
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
        content = response.json()
        assert content["type"] == f"/problems/{slug}"
        assert content["status"] == status
        assert content["title"]
        assert content["detail"]
        assert content["request_id"] == response.headers["x-request-id"]
        return content

    return check


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL of the test session's own."""
    try:
        with postgres() as server:
            yield server
    except PostgresAbsentError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'record' / 'crlso.db'}"
    return request.getfixturevalue("postgres_server").create(uuid4().hex)


@pytest.fixture
def database(database_url):
    """A database with the service's tables."""
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()
