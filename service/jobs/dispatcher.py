"""Sees to it that somebody works at every job: hands what waits to the executor, and takes back what was dropped.

That a worker of its own executor is gone it sees at once. Of the others, which another server or an earlier life of
this one has started, it watches the heartbeats: one that has not beaten for the time of a lease, by this process's own
clock, is given up. So a clock that is set forward or back takes nobody's job away.
"""

from __future__ import annotations

import logging
import time
from threading import Event, Thread
from typing import Protocol

from service.store.database import StoreError
from service.store.jobs import Job, JobStore

_PERIOD = 0.25  # seconds between looks at the record
_START_UP = 60.0  # seconds that a worker may take to beat for the first time
_log = logging.getLogger(__name__)


class Executor(Protocol):
    """Whatever can have a job carried out elsewhere."""

    def ready(self) -> bool:
        """Whether it can be given a job; where it cannot, trying to have it so the next time."""

    def start(self, job: Job) -> None:
        """Have a claimed job's attempt carried out."""

    def waiting(self) -> list[Job]:
        """Claimed jobs that no worker has begun with yet, for want of room."""

    def ended(self) -> list[Job]:
        """Claimed jobs whose workers are gone since the last call, whatever became of them."""

    def drain(self, patience: float) -> None:
        """Have all workers stop and put back what they work at; for so many seconds they may go on."""

    def abandon(self, job: Job) -> None:
        """Make an end of the worker of a claimed job, if it is one of this executor's."""

    @property
    def active(self) -> int:
        """Workers under way."""


class Dispatcher:
    """A thread between the record and an executor.

    Args:
        store: of jobs.
        executor: carries them out.
        slots: workers at the same time.
        lease: seconds without a beat after which a worker is given up.
        max_losses: workers that a job may lose before it has failed.
    """

    def __init__(self, store: JobStore, executor: Executor, *, slots: int, lease: float, max_losses: int) -> None:
        self._store, self._executor = store, executor
        self._slots, self._lease, self._max_losses = slots, lease, max_losses
        self._seen: dict[tuple[str, int], tuple[int, float]] = {}
        self._over = Event()
        self._thread = Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, patience: float = 20.0) -> None:
        """Claim nothing more and have the workers put back what they work at; what they do not is put back for them."""
        self._over.set()
        self._thread.join()
        self._executor.drain(patience)
        try:
            for job in self._executor.ended():
                self._store.release(job.id, job.attempt)
        except StoreError as error:
            _log.warning("the record is away: %s", error)

    @property
    def alive(self) -> bool:
        """Whether anybody sees to the jobs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._take_back()
                self._stand_in()
                self._watch()
                while self._room() and (job := self._store.claim()) is not None:
                    self._executor.start(job)
            except StoreError as error:
                _log.warning("the record is away: %s", error)
            except Exception:
                _log.exception("jobs wait because of a fault")
            self._over.wait(_PERIOD)

    def _room(self) -> bool:
        return self._executor.active < self._slots and self._executor.ready()

    def _take_back(self) -> None:
        for job in self._executor.ended():
            self._store.reclaim(job.id, job.attempt, None, self._max_losses)

    def _stand_in(self) -> None:
        """Beat for jobs that wait for their workers, and learn in their place that they are to end."""
        for job in self._executor.waiting():
            if self._store.beat(job.id, job.attempt) != "ours":
                self._executor.abandon(job)

    def _watch(self) -> None:
        now, running = time.monotonic(), self._store.running()
        self._seen = {
            (job.id, job.attempt): seen
            if (seen := self._seen.get((job.id, job.attempt))) is not None and seen[0] == job.beat
            else (job.beat, now)
            for job in running
        }
        for job in running:
            beat, since = self._seen[job.id, job.attempt]
            if now - since > (self._lease if beat else max(_START_UP, self._lease)):
                _log.warning("job %s has lost its worker", job.id)
                self._store.reclaim(job.id, job.attempt, beat, self._max_losses)
                self._executor.abandon(job)
