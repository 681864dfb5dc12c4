"""Asking and telling over HTTP."""

import pytest

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
PLAN = {"strategy": "random", "init": 3, "batch": 3, "budget": 6}


@pytest.fixture
def study(client):
    made = client.post("/v1/studies", json={"name": "mine", **PLAN})
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/studies/{made.json()['id']}"
    return made.headers["location"]


def ask(client, study, name="me", count=1):
    return client.post(f"{study}/ask", json={"client_id": name, "count": count})


def test_a_whole_study(client, study):
    seen = []
    while trials := ask(client, study).json()["trials"]:
        seen.append(trials[0]["architecture"])
        told = client.post(f"{study}/tell", json={"trial": trials[0]["number"], "values": [float(len(seen))]})
        assert (told.status_code, told.json()["state"]) == (200, "done")
    assert len(set(seen)) == 6
    assert ask(client, study).json() == {"trials": [], "end": "the budget of 6 trials is spent"}
    assert client.get(f"{study}/best").json()["trials"][0]["number"] == 6
    assert client.get(f"{study}/pareto").json() == client.get(f"{study}/best").json()
    history = client.get(f"{study}/history").json()
    assert [query["value"] for query in history["history"]] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert history["best"]["arch"] == seen[-1]
    assert client.get(study).json()["counts"] == {"waiting": 0, "running": 0, "done": 6, "failed": 0, "infeasible": 0}


def test_the_same_client_gets_the_same_again(client, study):
    first = ask(client, study, count=2).json()
    assert ask(client, study, count=2).json() == first
    assert not {t["number"] for t in ask(client, study, "you").json()["trials"]} & {
        t["number"] for t in first["trials"]
    }


def test_telling_otherwise_is_a_conflict(client, study, check_problem):
    ask(client, study)
    told = client.post(f"{study}/tell", json={"trial": 1, "values": [1]})
    assert client.post(f"{study}/tell", json={"trial": 1, "values": [1]}).json() == told.json()
    check_problem(client.post(f"{study}/tell", json={"trial": 1, "state": "failed"}), 409, "conflict")


def test_own_architectures(client, study, check_problem):
    told = client.post(f"{study}/tell", json={"architecture": CELL, "values": [90.5]})
    assert (told.json()["number"], told.json()["client_id"]) == (1, None)
    check_problem(client.post(f"{study}/tell", json={"architecture": "x", "values": [1]}), 422, "invalid-architecture")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"trial": 1},
        {"trial": 1, "state": "failed", "values": [1]},
        {"trial": 1, "architecture": CELL, "values": [1]},
        {"trial": 0, "values": [1]},
        {"trial": 2**40, "values": [1]},
        {"trial": 1, "values": ["a"]},
        {"trial": 1, "values": ["1"]},
        {"trial": 1, "values": [True]},
        {"trial": "1", "values": [1]},
        {"trial": True, "values": [1]},
        {"trial": 1, "values": [1], "more": 1},
        {"trial": 1, "state": "running"},
        {"architecture": "a\x00b", "values": [1]},
    ],
)
def test_faults_of_telling(client, study, check_problem, body):
    check_problem(client.post(f"{study}/tell", json=body), 422, "invalid-request")


def test_values_beyond_numbers(client, study, check_problem):
    headers = {"Content-Type": "application/json"}
    for value in ("NaN", "Infinity", "1e999"):
        answer = client.post(f"{study}/tell", content=f'{{"trial": 1, "values": [{value}]}}', headers=headers)
        check_problem(answer, 422, "invalid-request")


def test_unknown_things(client, study, check_problem):
    for path in ("", "/trials", "/best", "/history"):
        check_problem(client.get(f"/v1/studies/{'0' * 16}{path}"), 404, "not-found")
    check_problem(ask(client, f"/v1/studies/{'0' * 16}"), 404, "not-found")
    check_problem(client.post(f"{study}/tell", json={"trial": 5, "state": "failed"}), 422, "unsolvable-problem")
    check_problem(client.get("/v1/studies/.."), 404, "no-such-path")
    found = check_problem(client.get("/v1/studies/UPPER"), 422, "invalid-request")
    assert found["errors"][0]["parameter"] == "study"
    check_problem(client.post("/v1/studies", json={"space": "nowhere"}), 404, "unknown-name")
    check_problem(client.post("/v1/studies", json={"strategy": "nobody"}), 404, "unknown-name")


def test_a_request_that_is_repeated_makes_one_study(client, check_problem):
    headers = {"Idempotency-Key": "abc"}
    first = client.post("/v1/studies", json=PLAN, headers=headers)
    again = client.post("/v1/studies", json=PLAN, headers=headers)
    assert again.json() == first.json()
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    other = client.post("/v1/studies", json={**PLAN, "seed": 1}, headers=headers)
    check_problem(other, 422, "reused-idempotency-key")


def test_pages(client, check_problem):
    made = [client.post("/v1/studies", json={**PLAN, "seed": seed}).json()["id"] for seed in range(3)]
    first = client.get("/v1/studies", params={"page_size": 2}).json()
    rest = client.get("/v1/studies", params={"page_size": 2, "page_token": first["next_page_token"]}).json()
    assert sorted(study["id"] for study in first["items"] + rest["items"]) == sorted(made)
    assert rest["next_page_token"] is None
    check_problem(client.get("/v1/studies", params={"page_token": "abc"}), 422, "invalid-page-token")
    check_problem(client.get("/v1/studies", params={"page_size": 0}), 422, "invalid-request")


def test_trials_by_state(client, study):
    ask(client, study, count=2)
    client.post(f"{study}/tell", json={"trial": 2, "state": "infeasible"})
    listed = client.get(f"{study}/trials").json()["items"]
    assert [trial["state"] for trial in listed] == ["running", "infeasible", "waiting"]
    only = client.get(f"{study}/trials", params={"state": "infeasible"}).json()["items"]
    assert [trial["number"] for trial in only] == [2]


def test_deleting(client, study, check_problem):
    assert client.delete(study).status_code == 204
    check_problem(client.get(study), 404, "not-found")


def test_several_metrics(client):
    plan = {"strategy": "nsga2", "metrics": [{"name": "accuracy"}, {"name": "latency", "direction": "min"}]}
    study = client.post("/v1/studies", json={**plan, "reference": [0, 100], "init": 3}).headers["location"]
    ask(client, study, count=3)
    for number, values in enumerate(([90, 10], [80, 20], [95, 50]), start=1):
        client.post(f"{study}/tell", json={"trial": number, "values": values})
    assert [trial["number"] for trial in client.get(f"{study}/pareto").json()["trials"]] == [1, 3]
