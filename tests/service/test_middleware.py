import json

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
