"""Who may do what, how often, and what browsers are told."""

import pytest

from service.security import Allowance
from service.store.database import Database
from service.store.keys import KeyStore

PLAN = {"strategy": "random", "init": 3}


@pytest.fixture
def guarded(make_client):
    with make_client(keys=True) as client:
        yield client


@pytest.fixture
def key_store(guarded, tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'data' / 'crlso.db'}")
    yield KeyStore(database)
    database.close()


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def test_without_a_key_nothing_is_told_but_how_things_are(guarded, check_problem):
    for path in ("/v1/models", "/v1/studies", "/v1/jobs", "/metrics", "/no/such/path"):
        answer = guarded.get(path)
        check_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    for headers in (bearer("crlso_x_y"), {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}):
        check_problem(guarded.get("/v1/models", headers=headers), 401, "unauthenticated")
    check_problem(guarded.post("/optimize", content=b"{" * 100), 401, "unauthenticated")
    for path in ("/health/live", "/health/ready", "/openapi.json", "/problems/unauthenticated"):
        assert guarded.get(path).status_code == 200


def test_scopes(guarded, key_store, check_problem):
    read, submit = (bearer(key_store.create("k", scope)[1]) for scope in ("read", "submit"))
    assert guarded.get("/v1/studies", headers=read).status_code == 200
    check_problem(guarded.post("/v1/studies", json=PLAN, headers=read), 403, "forbidden")
    check_problem(guarded.post("/optimize", json={}, headers=read), 403, "forbidden")
    made = guarded.post("/v1/studies", json=PLAN, headers=submit)
    assert made.status_code == 201
    check_problem(guarded.delete(made.headers["location"], headers=read), 403, "forbidden")


def test_a_revoked_key_opens_nothing(guarded, key_store, check_problem):
    key, text = key_store.create("k", "read")
    assert guarded.get("/v1/studies", headers=bearer(text)).status_code == 200
    key_store.revoke(key.id)
    check_problem(guarded.get("/v1/studies", headers=bearer(text)), 401, "unauthenticated")


def test_without_keys_only_this_machine_is_answered(client, check_problem):
    assert client.get("/v1/models", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/v1/models", headers={"Host": "[::1]:8000"}).status_code == 200
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", "a:b:c", "[::1]x", ""):
        check_problem(client.get("/v1/models", headers={"Host": host}), 401, "unauthenticated")


def test_whatever_the_host_nothing_breaks(guarded, key_store, check_problem):
    key = bearer(key_store.create("k", "read")[1])
    for host in ("[", "a:b:c", ""):
        check_problem(guarded.post("/v1/models", headers={"Host": host, **key}), 405, "method-not-allowed")


def test_too_often(make_client, check_problem):
    with make_client(rate=0.01, burst=3) as client:
        answers = [client.get("/v1/studies") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        check_problem(answers[3], 429, "too-many-requests")
        assert int(answers[3].headers["retry-after"]) >= 1
        assert client.get("/health/live").status_code == 200


def test_an_allowance_fills_up_again():
    now = [0.0]
    allowance = Allowance(2.0, 2, clock=lambda: now[0])
    assert [allowance.delay("a") for _ in range(3)] == [0.0, 0.0, 0.5]
    assert allowance.delay("b") == 0.0
    now[0] += 0.5
    assert [allowance.delay("a"), allowance.delay("a")] == [0.0, 0.5]
    now[0] += 3600.0
    assert [allowance.delay("a") for _ in range(3)] == [0.0, 0.0, 0.5]


def test_browsers_are_told_to_be_careful(client):
    headers = client.get("/v1/spaces").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in client.get("/v1/spaces", headers={"Origin": "http://x.example"}).headers
