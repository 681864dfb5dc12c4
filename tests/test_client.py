"""The client comes back after whatever passes, says what does not, and asks for nothing twice."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from crlso.client import Client, ServiceError


class Script(BaseHTTPRequestHandler):
    """Answers as the test says, one answer a request: status, headers and content, or None to hang up."""

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.command, self.path, self.headers, self.rfile.read(length)))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.connection.close()
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    do_POST = do_GET  # noqa: N815 - its base has named it

    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    server.seen, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server):
    return Client(f"http://127.0.0.1:{server.server_port}", key="crlso_a_b", patience=5.0)


def test_what_passes_is_tried_again_as_the_same_request(server, client):
    server.answers = [None, (503, {"Retry-After": "0"}, {}), (429, {}, {}), (201, {}, {"id": "abc"})]
    assert client.create_study(space="nasbench201").id == "abc"
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in server.seen}) == 1
    assert len({body for _, _, _, body in server.seen}) == 1
    assert {headers["Authorization"] for _, _, headers, _ in server.seen} == {"Bearer crlso_a_b"}


def test_what_does_not_pass_is_told(server, client):
    server.answers = [(409, {}, {"detail": "it was told otherwise", "status": 409})]
    with pytest.raises(ServiceError, match="told otherwise") as caught:
        client.study("abc").tell(1, 93.0)
    assert (caught.value.status, len(server.seen)) == (409, 1)


def test_two_requests_are_two(server, client):
    server.answers = [(200, {}, {"trials": []})] * 2
    for _ in range(2):
        client.study("abc").ask("me")
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in server.seen}) == 2


def test_patience_ends(server):
    client = Client(f"http://127.0.0.1:{server.server_port}", patience=0.3)
    server.answers = [(503, {}, {"detail": "busy"})] * 100
    with pytest.raises(ServiceError, match="busy"):
        client.call("GET", "/v1/models")
    with pytest.raises(ServiceError, match="does not answer"):
        Client("http://127.0.0.1:1", patience=0.3).call("GET", "/v1/models")
    with pytest.raises(ServiceError, match="http://HOST:PORT"):
        Client("ftp://x")


def event(number, kind, **data):
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def test_a_stream_that_breaks_goes_on_behind_the_last_event(server, client):
    submitted = (202, {}, {"id": "abc"})
    first = event(1, "state", state="queued") + b": still here\n\n" + event(2, "log", line="a") + b"id: 3\nevent: st"
    rest = event(3, "log", line="b") + event(4, "state", state="succeeded")
    server.answers = [submitted, (200, {}, first), None, (200, {}, rest)]
    heard = list(client.submit("search", budget=1).events())
    assert [number for number, _, _ in heard] == [1, 2, 3, 4]
    asked = [headers.get("Last-Event-ID") for _, path, headers, _ in server.seen if path.endswith("/events")]
    assert asked == ["0", "2", "2"]


def test_waiting_gives_the_result_or_says_why_there_is_none(server, client):
    server.answers = [
        (202, {}, {"id": "abc"}),
        (200, {}, event(1, "state", state="succeeded")),
        (200, {}, {"x": 1}),
    ]
    assert client.submit("search").wait() == {"x": 1}
    server.answers = [
        (202, {}, {"id": "abc"}),
        (200, {}, event(1, "state", state="failed")),
        (409, {}, {"detail": "job abc is failed: no such thing"}),
    ]
    with pytest.raises(ServiceError, match="no such thing"):
        client.submit("search").wait()


def test_optimising_waits_where_that_takes_a_job(server, client):
    server.answers = [(200, {}, {"proposals": []})]
    assert client.optimize(seed=1) == {"proposals": []}
    server.answers = [
        (202, {}, {"id": "abc", "state": "queued"}),
        (200, {}, event(1, "state", state="succeeded")),
        (200, {}, {"proposals": [1]}),
    ]
    assert client.optimize(seed=1) == {"proposals": [1]}


def test_telling(server, client):
    server.answers = [(200, {}, {})] * 3
    study = client.study("abc")
    study.tell(1, 93.0)
    study.tell("a cell", 1.0, 2.0)
    study.tell(2, state="failed")
    assert [json.loads(body) for _, _, _, body in server.seen] == [
        {"trial": 1, "state": "done", "values": [93.0]},
        {"architecture": "a cell", "state": "done", "values": [1.0, 2.0]},
        {"trial": 2, "state": "failed"},
    ]
