"""What a job has while it is carried out: a folder, a way to say how it goes, and the order to stop.

A thread of its own beats for the job and delivers what was said, twice a second at most, and learns in return whether
to go on. The job itself learns it when it next reports, which it should do often: one that goes on silently is broken
off after a while, and what it has not kept in its folder by then is lost.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Literal, Protocol, TypeVar

from service.settings import Settings
from service.store.database import Database, StoreError
from service.store.jobs import JobStore

_GRACE = 10.0  # seconds that a job has to report after it was told to stop
_LONGEST_LINE = 2000
_MOST_LINES = 1000  # kept while the record is away
_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Order = Literal["cancelled", "released", "lost"]


class StoppedError(Exception):
    """The job was told to stop."""


class FanOut(Protocol):
    """Applies a function of a module's own to many things, as far as there are workers at the same time."""

    def __call__(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]: ...


def one_after_another(function: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
    """The fan-out of a single worker."""
    return [function(item) for item in items]


class Context:
    """The job's side of the line.

    Attributes:
        settings: of the service.
        folder: what the job keeps from one attempt to the next; gone when it ends.
        fan_out: for many things of a kind.
    """

    def __init__(self, settings: Settings, folder: Path, line: Line, fan_out: FanOut = one_after_another) -> None:
        self.settings, self.folder, self.fan_out = settings, folder, fan_out
        self._line = line

    def report(self, done: int, total: int | None, message: str, **figures: Any) -> None:
        """Say how far the job has come.

        Raises:
            StoppedError: it is to stop here.
        """
        self._line.say("progress", {"done": done, "total": total, "message": message, **figures})
        self.check()

    def check(self) -> None:
        """Find out whether to go on.

        Raises:
            StoppedError: the job is to stop here.
        """
        if self._line.order is not None:
            raise StoppedError(self._line.order)


class Line:
    """The line to the record.

    Args:
        store: of jobs.
        job: its id.
        attempt: the one under way.
        interval: seconds between beats.
        abort: ends the process of a job that does not stop.

    Attributes:
        order: to stop, and why; None while the job may go on.
    """

    def __init__(
        self,
        store: JobStore,
        job: str,
        attempt: int,
        interval: float = 0.5,
        abort: Callable[[Order], None] | None = None,
    ) -> None:
        self._store, self._job, self._attempt, self._interval = store, job, attempt, interval
        self._abort = abort or self._break_off
        self.order: Order | None = None
        self._ordered = 0.0
        self._said: list[tuple[Literal["progress", "log"], dict[str, Any]]] = []
        self._lock = Lock()
        self._over = Event()
        self._thread = Thread(target=self._hold, name=f"line of {job}", daemon=True)

    def __enter__(self) -> Line:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Beat no more, and deliver what is left."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self.deliver()

    def say(self, kind: Literal["progress", "log"], data: dict[str, Any]) -> None:
        """Have something delivered with the next beat; of several reports of progress the last."""
        with self._lock:
            if kind == "progress" and self._said and self._said[-1][0] == "progress":
                self._said.pop()
            self._said.append((kind, data))
            del self._said[:-_MOST_LINES]

    def stop(self, order: Order) -> None:
        """Have the job stop when it next reports."""
        if self.order is None:
            self.order, self._ordered = order, time.monotonic()

    def deliver(self) -> None:
        """Hand over what was said; it is kept while the record is away."""
        with self._lock:
            said, self._said = self._said, []
        try:
            if said and not self._store.say(self._job, self._attempt, said):
                self.stop("lost")
        except StoreError as error:
            _log.warning("the record is away: %s", error)
            with self._lock:
                self._said = said + self._said

    def _hold(self) -> None:
        while not self._over.wait(self._interval):
            try:
                standing = self._store.beat(self._job, self._attempt)
                if standing != "ours":
                    self.stop(standing)
            except StoreError as error:
                _log.warning("the record is away: %s", error)
            self.deliver()
            if self.order is not None and time.monotonic() - self._ordered > _GRACE:
                self._abort(self.order)

    def _break_off(self, order: Order) -> None:
        end(self._store, self._job, self._attempt, order)
        os._exit(0)


class LogHandler(logging.Handler):
    """Sends what crlso logs down the line."""

    def __init__(self, line: Line) -> None:
        super().__init__(logging.INFO)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.say("log", {"line": record.getMessage()[:_LONGEST_LINE]})


@contextmanager
def connected(settings: Settings, job: str, attempt: int) -> Iterator[tuple[JobStore, Line]]:
    """The record and a line to it, for a worker."""
    database = Database(settings.database)
    store = JobStore(database)
    try:
        with Line(store, job, attempt, interval=min(0.5, settings.lease / 10)) as line:
            yield store, line
    finally:
        database.close()


def end(store: JobStore, job: str, attempt: int, order: Order) -> None:
    """Let the record know that a job has stopped as it was ordered to."""
    if order == "cancelled":
        store.finish(job, attempt, "cancelled")
    elif order == "released":
        store.release(job, attempt)
