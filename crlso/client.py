"""A client of the HTTP service, with the standard library alone.

    study = Client("http://127.0.0.1:8000").create_study(space="nasbench201", budget=50)
    while trials := study.ask("this machine"):
        for trial in trials:
            study.tell(trial["number"], train(trial["architecture"]))

What the service answers is passed on as plain JSON values. A service that is busy, restarting or away for a while is
asked again: everything here may be repeated, since a client that has trials gets the same ones again, telling twice is
telling once, and what is made carries an idempotency key.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any
from uuid import uuid4

from crlso.exceptions import CrlsoError

_PASSING = frozenset({429, 502, 503, 504})
_LONGEST_PAUSE = 5.0  # seconds between two tries


class ServiceError(CrlsoError):
    """The service refuses; the message is its own.

    Attributes:
        status: of the answer; None where there was none in all the time that the client had patience for.
        problem: the answer, as RFC 9457 has it.
    """

    def __init__(self, status: int | None, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "the service does not answer"))
        self.status, self.problem = status, problem


class Client:
    """Asks a service.

    Args:
        url: of the service.
        key: an API key, where the service wants one.
        patience: seconds for which what may pass is tried again.
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", key: str | None = None, patience: float = 300.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ServiceError(None, {"detail": f"{url!r} is no address of a service: write http://HOST:PORT"})
        self._url, self._key, self._patience = url.rstrip("/"), key, patience

    def optimize(self, **request: Any) -> dict[str, Any]:
        """Architectures from a model, as `POST /optimize` answers; waits if that takes a job."""
        answer = self.call("POST", "/v1/optimize", request)
        return Job(self, answer).wait() if "state" in answer else answer

    def create_study(self, **plan: Any) -> Study:
        """Begin a study; the arguments are those of `POST /v1/studies`."""
        return Study(self, self.call("POST", "/v1/studies", plan)["id"])

    def study(self, study: str) -> Study:
        """A study by its id."""
        return Study(self, study)

    def submit(self, kind: str, **request: Any) -> Job:
        """Queue a job; the arguments are those of `POST /v1/jobs`."""
        return Job(self, self.call("POST", "/v1/jobs", {"kind": kind, **request}))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            ServiceError: the service refuses, or is away for longer than the client's patience.
        """
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        with self._open(method, path, body, headers) as answer:
            content = answer.read()
        found: dict[str, Any] = json.loads(content) if content else {}
        return found

    def stream(self, path: str, after: int = 0) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Server-sent events as number, kind and data; goes on after the last one wherever the line breaks."""
        deadline = time.monotonic() + self._patience
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            try:
                with self._open("GET", path, None, headers) as answer:
                    for number, kind, data in _events(answer):
                        after, deadline = number, time.monotonic() + self._patience
                        yield number, kind, data
                        if kind == "state" and data["state"] in ("succeeded", "failed", "cancelled"):
                            return
            except (OSError, HTTPException):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _open(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> HTTPResponse:
        content = None if body is None else json.dumps(body).encode()
        sent = {**headers, **({} if body is None else {"Content-Type": "application/json"})}
        if self._key is not None:
            sent["Authorization"] = f"Bearer {self._key}"
        deadline, pause = time.monotonic() + self._patience, 0.1
        while True:
            request = urllib.request.Request(self._url + path, content, sent, method=method)  # noqa: S310 - see __init__
            try:
                opened: HTTPResponse = urllib.request.urlopen(request, timeout=self._patience)  # noqa: S310
                return opened
            except urllib.error.HTTPError as error:
                if error.code not in _PASSING or time.monotonic() > deadline:
                    raise ServiceError(error.code, _problem(error)) from error
                pause = max(pause, float(error.headers.get("Retry-After") or 0))
            except (OSError, HTTPException) as error:
                if time.monotonic() > deadline:
                    raise ServiceError(None, {"detail": f"{self._url} does not answer: {error}"}) from error
            time.sleep(min(pause, _LONGEST_PAUSE))
            pause *= 2


class Study:
    """A search whose architectures this client's side evaluates."""

    def __init__(self, client: Client, study: str) -> None:
        self._client, self.id = client, study
        self._path = f"/v1/studies/{urllib.parse.quote(study, safe='')}"

    def ask(self, client_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Trials to evaluate, those that this client has not told yet first; none when the study is over."""
        body = {"client_id": client_id, "count": count}
        trials: list[dict[str, Any]] = self._client.call("POST", f"{self._path}/ask", body)["trials"]
        return trials

    def tell(self, what: int | str, *values: float, state: str = "done") -> dict[str, Any]:
        """What came of a trial, by its number, or of any architecture, by its text."""
        trial = {"trial": what} if isinstance(what, int) else {"architecture": what}
        told: dict[str, Any] = {**trial, "state": state}
        if state == "done":
            told["values"] = values
        return self._client.call("POST", f"{self._path}/tell", told)

    def best(self) -> list[dict[str, Any]]:
        """The best trial; with several metrics those that no other beats in all."""
        trials: list[dict[str, Any]] = self._client.call("GET", f"{self._path}/best")["trials"]
        return trials

    def history(self) -> dict[str, Any]:
        """The record, as `crlso search` keeps it in a file."""
        return self._client.call("GET", f"{self._path}/history")


class Job:
    """Work that the service does."""

    def __init__(self, client: Client, shown: dict[str, Any]) -> None:
        self._client, self.id = client, str(shown["id"])
        self._path = f"/v1/jobs/{self.id}"

    def events(self, after: int = 0) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Number, kind and data of what the job says, until it has ended."""
        return self._client.stream(f"{self._path}/events", after)

    def wait(self) -> dict[str, Any]:
        """The job's result, once it has one.

        Raises:
            ServiceError: it has failed or was cancelled.
        """
        for _ in self.events():
            pass
        return self._client.call("GET", f"{self._path}/result")

    def show(self) -> dict[str, Any]:
        """State and progress."""
        return self._client.call("GET", self._path)

    def cancel(self) -> dict[str, Any]:
        """Have it end."""
        return self._client.call("POST", f"{self._path}/cancel")


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(error.read())
    except ValueError:
        return {"title": f"{error.code} {error.reason}"}
    return found


def _events(lines: Sequence[bytes] | HTTPResponse) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Events of a stream of lines, each ended by an empty one."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        elif "id" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
