"""Jobs over HTTP; the test plays the worker, so that nothing waits for processes."""

import json
import threading
import time

import pytest

from service.store.database import Database
from service.store.jobs import JobStore

SEARCH = {"kind": "search", "dataset": "cifar10", "strategy": "random", "budget": 5}


@pytest.fixture
def idle(make_client, monkeypatch):
    """A client of a service that begins no job."""
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.start", lambda _: None)
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.close", lambda _: None)
    with make_client() as client:
        yield client


@pytest.fixture
def store(idle, tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'data' / 'crlso.db'}")
    yield JobStore(database)
    database.close()


def submit(client, body=SEARCH, **headers):
    answer = client.post("/v1/jobs", json=body, headers=headers)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.headers["location"]


def test_a_job_from_queue_to_result(idle, store, check_problem):
    job = submit(idle)
    check_problem(idle.get(f"{job}/result"), 409, "conflict")
    claimed = store.claim()
    store.say(
        claimed.id,
        1,
        [
            ("log", {"line": "a"}),
            ("log", {"line": "b"}),
            ("progress", {"done": 1, "total": 5, "message": "1 of 5", "best": 90.0}),
        ],
    )
    shown = idle.get(job).json()
    assert (shown["state"], shown["progress"]["best"], shown["attempt"]) == ("running", 90.0, 1)
    assert idle.get(f"{job}/log").text == "a\nb\n"
    assert idle.get(f"{job}/log", params={"lines": 1}).text == "b\n"
    store.finish(claimed.id, 1, "succeeded", result={"x": 1})
    assert idle.get(f"{job}/result").json() == {"x": 1}


def test_cancelling_twice_is_once(idle, store):
    job = submit(idle)
    for _ in range(2):
        assert idle.post(f"{job}/cancel").json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"kind": "nothing"}, 422, "invalid-request"),
        ({}, 422, "invalid-request"),
        ({**SEARCH, "dataset": "nowhere"}, 404, "unknown-name"),
        ({**SEARCH, "space": "../../etc"}, 404, "unknown-name"),
        ({**SEARCH, "strategy": "nobody"}, 404, "unknown-name"),
        ({**SEARCH, "supernet": "a"}, 422, "invalid-request"),
        ({**SEARCH, "limits": [{"metric": "params", "max": 1}]}, 422, "unsolvable-problem"),
        ({"kind": "train", "name": "alpha"}, 422, "unsolvable-problem"),
        ({"kind": "train", "name": "../up"}, 422, "invalid-request"),
        ({"kind": "train", "name": ".hidden"}, 422, "invalid-request"),
        ({"kind": "train", "name": "a", "set": ["nothing=1"]}, 404, "unknown-name"),
        ({"kind": "train", "name": "a", "space": "mine.yaml"}, 404, "unknown-name"),
        ({"kind": "supernet", "name": "a", "method": "nobody"}, 404, "unknown-name"),
        ({"kind": "supernet", "name": "a", "set": ["dataset=/etc"]}, 422, "unsolvable-problem"),
        ({"kind": "supernet", "name": "a", "space": "nasbench201"}, 422, "unsolvable-problem"),
        ({"kind": "evaluate", "supernet": "nobody", "architectures": ["x"]}, 404, "unknown-name"),
        ({"kind": "evaluate", "supernet": "nobody", "architectures": []}, 422, "invalid-request"),
        ({"kind": "optimize", "model": "nobody"}, 404, "unknown-name"),
    ],
)
def test_faults_show_before_anything_is_queued(idle, check_problem, body, status, slug):
    check_problem(idle.post("/v1/jobs", json=body), status, slug)
    assert idle.get("/v1/jobs").json()["items"] == []


def test_a_request_that_is_repeated_queues_one_job(idle, check_problem):
    first = submit(idle, **{"Idempotency-Key": "k"})
    again = idle.post("/v1/jobs", json=SEARCH, headers={"Idempotency-Key": "k"})
    assert (again.headers["location"], again.headers["idempotent-replayed"]) == (first, "true")
    other = idle.post("/v1/jobs", json={**SEARCH, "seed": 1}, headers={"Idempotency-Key": "k"})
    check_problem(other, 422, "reused-idempotency-key")


def test_two_jobs_never_make_the_same(idle, check_problem):
    submit(idle, {"kind": "train", "name": "new"})
    check_problem(idle.post("/v1/jobs", json={"kind": "train", "name": "new", "seed": 1}), 409, "conflict")


def test_a_caller_has_only_so_many(make_client, monkeypatch, check_problem):
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.start", lambda _: None)
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.close", lambda _: None)
    with make_client(max_jobs=1) as client:
        submit(client)
        check_problem(client.post("/v1/jobs", json=SEARCH), 409, "conflict")


def test_lists(idle, store):
    made = [submit(idle, {**SEARCH, "seed": seed}).rsplit("/", 1)[1] for seed in range(3)]
    page = idle.get("/v1/jobs", params={"page_size": 2}).json()
    rest = idle.get("/v1/jobs", params={"page_size": 2, "page_token": page["next_page_token"]}).json()
    assert sorted(job["id"] for job in page["items"] + rest["items"]) == sorted(made)
    store.cancel(made[0])
    assert [job["id"] for job in idle.get("/v1/jobs", params={"state": "cancelled"}).json()["items"]] == [made[0]]
    assert idle.get("/v1/jobs", params={"kind": "train"}).json()["items"] == []


def parse(text):
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "id" in fields:
            events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return events


def test_events_of_a_job_that_is_over_resume_anywhere(idle, store):
    job = submit(idle)
    claimed = store.claim()
    store.say(claimed.id, 1, [("log", {"line": str(number)}) for number in range(5)])
    store.finish(claimed.id, 1, "succeeded", result={})
    whole = parse(idle.get(f"{job}/events").text)
    assert [number for number, _, _ in whole] == list(range(1, 9))
    for cut in range(9):
        assert parse(idle.get(f"{job}/events", headers={"Last-Event-ID": str(cut)}).text) == whole[cut:]


def test_events_come_as_they_happen(idle, store):
    job = submit(idle)
    claimed = store.claim()

    def play():
        for number in range(3):
            time.sleep(0.2)
            store.say(claimed.id, 1, [("log", {"line": str(number)})])
        store.finish(claimed.id, 1, "failed", error="because")

    player = threading.Thread(target=play)
    player.start()
    found = parse(idle.get(f"{job}/events").text)
    player.join()
    assert [data["line"] for _, kind, data in found if kind == "log"] == ["0", "1", "2"]
    assert found[-1][1:] == ("state", {"state": "failed", "attempt": 1, "error": "because"})


def test_unknown_jobs(idle, check_problem):
    for path in ("", "/result", "/log", "/events"):
        check_problem(idle.get(f"/v1/jobs/{'0' * 16}{path}"), 404, "not-found")
    check_problem(idle.post(f"/v1/jobs/{'0' * 16}/cancel"), 404, "not-found")
    check_problem(idle.get("/v1/jobs/x"), 422, "invalid-request")
