"""Models are brought as archives, read before anything changes, and taken away."""

import io
import threading
import zipfile

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

ZIP = {"Content-Type": "application/zip"}


def archive(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as found:
        for name, data in files.items():
            found.writestr(name, data)
    return content.getvalue()


@pytest.fixture
def files(bundle):
    return {path.name: path.read_bytes() for path in bundle.iterdir()}


@pytest.fixture
def real(tmp_path):
    """A client of a service that loads real bundles and has none."""
    settings = Settings(models=tmp_path / "models", data=tmp_path / "data", max_upload_bytes=10_000_000)
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        yield client


def bring(client, name, content, **options):
    return client.put(f"/v1/models/{name}", content=content, headers=ZIP, **options)


def test_what_was_brought_answers(real, files, check_problem, tmp_path):
    check_problem(real.post("/optimize", json={}), 503, "model-unavailable")
    brought = bring(real, "mine", archive(files))
    assert (brought.status_code, brought.headers["location"]) == (201, "/v1/models/mine")
    answer = real.post("/optimize", json={"num_starts": 4, "num_steps": 5})
    assert answer.json()["digest"] == brought.json()["digest"]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"mine"}
    assert real.delete("/v1/models/mine").status_code == 204
    check_problem(real.get("/v1/models/mine"), 404, "unknown-name")
    check_problem(real.delete("/v1/models/mine"), 404, "unknown-name")


def test_a_model_is_replaced_on_demand_only_and_no_request_is_dropped(real, files, check_problem):
    bring(real, "mine", archive(files))
    check_problem(bring(real, "mine", archive(files)), 409, "conflict")
    statuses, over = [], threading.Event()

    def ask():
        while not over.is_set():
            statuses.append(real.post("/optimize", json={"num_starts": 2, "num_steps": 2}).status_code)

    asker = threading.Thread(target=ask)
    asker.start()
    for _ in range(5):
        assert bring(real, "mine", archive(files), params={"replace": True}).status_code == 201
    over.set()
    asker.join()
    assert statuses
    assert set(statuses) == {200}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: b"",
        lambda files: b"no archive",
        lambda files: archive(files)[:-100],
        lambda files: archive({}),
        lambda files: archive({**files, "../up": b"x"}),
        lambda files: archive({**files, "/etc/passwd": b"x"}),
        lambda files: archive({**files, "more.pkl": b"x"}),
        lambda files: archive({**files, "config.json": b"{}"}),
        lambda files: archive({**files, "manifest.json": b"[" * 100_000}),
        lambda files: archive({name: data for name, data in files.items() if name != "model.safetensors"}),
        lambda files: archive({**files, "model.safetensors": files["model.safetensors"][:-1] + b"\x01\x02"}),
        lambda files: archive({"model.safetensors": bytes(20_000_000)}),
    ],
)
def test_what_is_no_model_changes_nothing(real, files, check_problem, tmp_path, spoil):
    bring(real, "mine", archive(files))
    answer = bring(real, "mine", spoil(files), params={"replace": True})
    content = check_problem(answer, 422, "not-a-bundle")
    assert str(tmp_path) not in content["detail"]
    assert [model["name"] for model in real.get("/v1/models").json()["models"]] == ["mine"]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"mine"}


def test_faults_of_the_request(real, files, check_problem, make_client):
    check_problem(real.put("/v1/models/mine", content=b"x"), 415, "unsupported-media-type")
    check_problem(bring(real, ".hidden", archive(files)), 422, "invalid-request")
    with make_client(max_upload_bytes=1000) as small:
        check_problem(bring(small, "mine", bytes(2000)), 413, "body-too-large")
    with make_client(keys=True) as guarded:
        check_problem(bring(guarded, "mine", archive(files)), 401, "unauthenticated")
