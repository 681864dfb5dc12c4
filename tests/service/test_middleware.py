import asyncio
import json
import time

JSON = {"Content-Type": "application/json"}


def test_every_response_has_its_own_request_id(client):
    names = [client.get(path).headers["x-request-id"] for path in ("/health/live", "/health/live", "/none")]
    assert len(set(names)) == 3


def test_a_body_of_just_the_limit_is_read_and_one_byte_more_is_not(make_client, check_problem):
    body = json.dumps({"seed": 1}).encode()
    with make_client(max_body_bytes=len(body)) as client:
        assert client.post("/optimize", content=body, headers=JSON).status_code == 200
        response = client.post("/optimize", content=body + b" ", headers=JSON)
    assert str(len(body)) in check_problem(response, 413, "body-too-large")["detail"]


def test_a_body_that_hides_its_length_is_measured_as_it_comes(make_client, check_problem):
    def chunks():
        for _ in range(100):
            yield b" " * 100

    with make_client(max_body_bytes=1000) as client:
        check_problem(client.post("/optimize", content=chunks(), headers=JSON), 413, "body-too-large")


def test_a_body_that_does_not_come_in_time_is_no_longer_waited_for(make_client, post_messages):
    async def receive():
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with make_client(body_seconds=0.1) as client:
        start, body = post_messages(client, receive)
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (408, b"application/problem+json")
    assert headers[b"connection"] == b"close"  # what still comes of the body is nobody's
    assert json.loads(body["body"])["type"] == "/problems/body-too-slow"


def test_an_answer_may_take_longer_than_the_body(make_client, stand_in):
    def slow(model, problem):
        time.sleep(0.3)
        return stand_in.solve(model, problem)

    with make_client(solve=slow, body_seconds=0.1) as client:
        assert client.post("/optimize", json={}).status_code == 200
