import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from crlso.search.problem import Answer
from crlso.spaces import get_space
from service.schemas import OptimizeRequest

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/optimize", "/v1/optimize"])
def test_answers_with_architectures_of_the_space(client, path):
    response = client.post(path, json={"num_architectures": 3, "seed": 5})
    assert response.status_code == 200
    content = response.json()
    space = get_space("nasbench201")
    texts = [proposal["architecture"] for proposal in content["proposals"]]
    assert len({space.parse(text).text for text in texts}) == 3
    assert (content["model"], content["space"], content["seed"]) == ("alpha", "nasbench201", 5)
    assert (content["metric"], content["unit"]) == ("val_accuracy", "percent")


def test_the_answer_is_the_librarys_own_with_its_unit(client, models, stand_in):
    body = {"num_architectures": 2}
    content = client.post("/optimize", json=body).json()
    expected = stand_in.solve(stand_in.load(models / "alpha"), OptimizeRequest(**body))
    assert [proposal.pop("evaluated") for proposal in content["proposals"]] == [None, None]
    assert Answer.model_validate({key: content[key] for key in Answer.model_fields}) == expected


def test_an_evaluator_scores_what_is_proposed_as_far_as_it_has_weights(client, add_supernet):
    add_supernet("paths")
    body = {"num_architectures": 6, "seed": 1}
    plain, content = (
        client.post("/optimize", json=body | more).json() for more in ({}, {"evaluator": "supernet:paths"})
    )
    assert (content["evaluator"], content["evaluator_digest"]) == ("supernet:paths", "e" * 64)
    scores = [proposal.pop("evaluated") for proposal in content["proposals"]]
    for proposal, score in zip(content["proposals"], scores, strict=True):
        dead = "none" in proposal["architecture"]
        assert score == (None if dead else {"loss": len(proposal["architecture"]), "accuracy": 50.0})
    assert any(scores)
    assert None in scores
    assert content["proposals"] == [{k: v for k, v in one.items() if k != "evaluated"} for one in plain["proposals"]]


def test_an_evaluator_of_another_space_or_none_at_all_is_refused(client, add_supernet, check_problem):
    add_supernet("cells", space="darts-flexible")
    add_supernet("broken", sound=False)
    for name, status, slug, said in (
        ("cells", 422, "unsolvable-problem", "'darts-flexible', not of 'nasbench201'"),
        ("broken", 503, "model-unavailable", "no run"),
        ("none", 404, "unknown-name", "broken, cells"),
        ("../models/alpha", 404, "unknown-name", "broken, cells"),
    ):
        refused = check_problem(client.post("/optimize", json={"evaluator": f"supernet:{name}"}), status, slug)
        assert said in refused["detail"]
    check_problem(client.post("/optimize", json={"evaluator": "paths"}), 422, "invalid-request")


def test_same_request_same_answer_also_after_a_restart(make_client):
    body = {"seed": 3, "constraints": [{"metric": "params", "max": 4e5}]}
    contents = []
    for _ in range(2):
        with make_client() as client:
            contents += [client.post("/optimize", json=body).content, client.post("/optimize", json=body).content]
    assert len(set(contents)) == 1


def test_runs_as_many_at_once_as_it_may_and_refuses_the_rest(make_client, stand_in, check_problem):
    release, entered = Event(), Event()

    def slow(model, problem):
        entered.set()
        assert release.wait(10)
        return stand_in.solve(model, problem)

    with make_client(solve=slow, workers=1, max_waiting=0) as client, ThreadPoolExecutor() as threads:
        first = threads.submit(client.post, "/optimize", json={})
        assert entered.wait(10)
        assert client.get("/health/live").status_code == 200  # the event loop is free meanwhile
        refused = client.post("/optimize", json={})
        check_problem(refused, 503, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        release.set()
        assert first.result().status_code == 200
        assert client.post("/optimize", json={}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "slug", "says"),
    [
        ({"space": "nowhere"}, 404, "unknown-name", "nasbench201"),
        ({"model": "nothing"}, 404, "unknown-name", "alpha"),
        ({"model": "../alpha"}, 404, "unknown-name", "alpha"),
        ({"start_from": ["|nonsense~0|"]}, 422, "invalid-architecture", "nonsense"),
        ({"num_architectures": 0}, 422, "invalid-request", "/num_architectures"),
        ({"num_steps": 10**400}, 422, "invalid-request", "/num_steps"),
        ({"seed": -1}, 422, "invalid-request", "/seed"),
        ({"seed": 2**63}, 422, "invalid-request", "/seed"),
        ({"seed": None}, 422, "invalid-request", "/seed"),
        ({"sede": 1}, 422, "invalid-request", "/sede"),
        ({"a/b~c": 1}, 422, "invalid-request", "/a~1b~0c"),
        ({"objective": {"metric": "acc", "direction": "up"}}, 422, "invalid-request", "/objective/direction"),
        ({"constraints": [{"metric": "params"}]}, 422, "invalid-request", "`min`, `max` or both"),
        ({"constraints": [{"metric": "params", "min": 2, "max": 1}]}, 422, "invalid-request", "/constraints/0"),
        ({"constraints": [{"metric": "params", "max": float("nan")}]}, 422, "invalid-request", "/constraints/0/max"),
        ({"constraints": [{"metric": "params", "max": 10**400}]}, 422, "invalid-request", "/constraints/0/max"),
        ({"constraints": [{"metric": "params", "max": 1}] * 17}, 422, "invalid-request", "/constraints"),
        ({"exclude": [1] * 10000}, 422, "invalid-request", "/exclude/0"),
        ({"space": "\ud800"}, 404, "unknown-name", "nasbench201"),
        ({"\ud800": 1}, 422, "invalid-request", "body"),
        ([], 422, "invalid-request", "body"),
        (None, 422, "invalid-request", "body"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_bad_requests_are_told_what_would_be_right(client, check_problem, body, status, slug, says):
    response = client.post("/optimize", content=json.dumps(body), headers=JSON)
    assert says in check_problem(response, status, slug)["detail"]
    assert len(response.content) < 20_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"constraints":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"constraints": [{"metric": "params", "max": Infinity}]}',
        b'{"constraints": [{"metric": "params", "max": 1e999}]}',
        b'{"num_starts": 1e999}',
    ],
    ids=lambda content: content[:30].decode("ascii", "replace"),
)
def test_bodies_that_are_no_request_are_never_a_fault_of_the_service(client, check_problem, content):
    response = client.post("/optimize", content=content, headers=JSON)
    slug = response.json()["type"].rpartition("/")[2]
    check_problem(response, {"malformed-json": 400, "invalid-request": 422}[slug], slug)


def test_errors_point_at_every_fault(client, check_problem):
    body = {"num_starts": 0, "constraints": [{"metric": "params", "max": 1}, {"metric": 3, "max": 1}]}
    content = check_problem(client.post("/optimize", json=body), 422, "invalid-request")
    assert {error["pointer"] for error in content["errors"]} == {"/num_starts", "/constraints/1/metric"}


@pytest.mark.parametrize("sent", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
def test_other_content_types_are_refused(client, check_problem, sent):
    response = client.post("/optimize", content=b"{}", headers={"Content-Type": sent})
    assert "application/json" in check_problem(response, 415, "unsupported-media-type")["detail"]


def test_a_charset_is_no_other_content_type(client):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post("/optimize", content=b"{}", headers=headers).status_code == 200


def test_a_fault_tells_nothing_of_the_inside(make_client, check_problem):
    def broken(model, problem):
        raise RuntimeError("secret")

    with make_client(solve=broken) as client:
        response = client.post("/optimize", json={})
    check_problem(response, 500, "internal-error")
    assert "secret" not in response.text


@pytest.fixture
def slow(make_client, monkeypatch, stand_in):
    """A client of a service that solves slowly and begins no job."""
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.start", lambda _: None)
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.close", lambda _: None)

    def solve(model, problem):
        time.sleep(1.5)
        return stand_in.solve(model, problem)

    with make_client(solve=solve, wait=0.2) as client:
        yield client


def test_what_takes_longer_than_the_client_waits_becomes_a_job_and_is_not_solved_twice(slow):
    later = slow.post("/optimize", json={"seed": 3})
    assert later.status_code == 202
    assert later.json()["kind"] == "optimize"
    job = later.headers["location"]
    assert slow.get(job).json()["state"] == "succeeded"  # nobody has begun it: what was under way was handed over
    at_once = slow.post("/optimize", json={"seed": 3}, headers={"Prefer": "wait=30"})
    assert (at_once.status_code, at_once.headers["preference-applied"]) == (200, "wait=30")
    assert slow.get(f"{job}/result").json() == at_once.json()


def test_a_client_that_does_not_want_to_wait(slow):
    later = slow.post("/v1/optimize", json={"seed": 3}, headers={"Prefer": "respond-async", "Idempotency-Key": "k"})
    assert (later.status_code, later.headers["preference-applied"]) == (202, "respond-async")
    assert slow.get(later.headers["location"]).json()["state"] == "queued"
    again = slow.post("/v1/optimize", json={"seed": 3}, headers={"Prefer": "respond-async", "Idempotency-Key": "k"})
    assert again.headers["location"] == later.headers["location"]
