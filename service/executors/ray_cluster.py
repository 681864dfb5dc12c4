"""The process between the service and a Ray cluster, in which every attempt at a job is an actor.

Actors are detached: one outlives the server that started it, as a local worker does, and ends itself. What it has to
say goes to the record, which is all that the server and its workers share besides the directories.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from threading import Thread
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from service.executors.ray_worker import Attempt
from service.store.jobs import Job

_NAMESPACE = "crlso"
_PAUSE = 5.0  # seconds between attempts to reach the cluster
_LAST = 5.0  # seconds until a worker that was killed is known to be gone
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """An actor.

    Attributes:
        job: that it works at.
        actor: the handle.
        begun: ready as soon as it lives, or never will.
    """

    job: Job
    actor: Any
    begun: Any

    @property
    def waiting(self) -> bool:
        """Whether the cluster has had no room for it so far."""
        return not ray.wait([self.begun], timeout=0)[0]


class Cluster:
    """Starts actors and notices their end.

    Args:
        address: of the cluster.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._connected = False
        self._connecting: Thread | None = None
        self._workers: dict[Any, Worker] = {}  # by what is ready when they are gone

    def ready(self) -> bool:
        """Whether the cluster has been reached."""
        if not self._connected and not (self._connecting and self._connecting.is_alive()):
            # Ray tries for minutes to reach a cluster that is not there, which must keep nobody from his work.
            self._connecting = Thread(target=self._connect, name="connecting to Ray", daemon=True)
            self._connecting.start()
        return self._connected

    def _connect(self) -> None:
        try:
            ray.init(self._address, namespace=_NAMESPACE, logging_level=logging.ERROR, ignore_reinit_error=True)
            self._connected = True
        except (RayError, OSError, RuntimeError) as error:
            _log.warning("jobs wait, since there is no Ray at %s: %s", self._address, error)
            time.sleep(_PAUSE)

    def start(self, job: Job, environment: dict[str, str], threads: int, gpus: float) -> None:
        """Have an actor carry out an attempt, as soon as the cluster has room for it."""
        name = f"{job.kind} {job.id} {job.attempt}"  # in Ray's lists, and as the title of the process
        actor: Any = (
            ray.remote(Attempt)
            .options(
                name=name,
                namespace=_NAMESPACE,
                lifetime="detached",
                num_cpus=threads,
                num_gpus=gpus,
                max_concurrency=2,  # one works, one listens
                max_restarts=0,  # the dispatcher decides what becomes of a job whose worker is lost
            )
            .remote(environment, job.id, job.attempt, gpus)
        )
        begun = actor.__ray_ready__.remote()
        self._workers[actor.end.options(name=name).remote(begun)] = Worker(job, actor, begun)

    def waiting(self) -> list[Job]:
        """Jobs whose actors the cluster has had no room for so far."""
        return [worker.job for worker in self._workers.values() if worker.waiting]

    def ended(self) -> list[Job]:
        """Jobs whose actors are gone since the last call."""
        gone = self._workers.keys() - self._left(0)
        ended = [self._workers.pop(done) for done in gone]
        for worker in ended:
            _explain(worker)
        return [worker.job for worker in ended]

    def drain(self, patience: float) -> None:
        """Have all stop; those that do not within so many seconds, and those that have not begun, are ended."""
        for worker in self._workers.values():
            if worker.waiting:
                ray.kill(worker.actor)
            else:
                worker.actor.release.remote()
        for done in self._left(patience):
            ray.kill(self._workers[done].actor)
        self._left(_LAST)

    def abandon(self, job: Job) -> None:
        """Make an end of a job's actor."""
        for worker in self._workers.values():
            if (worker.job.id, worker.job.attempt) == (job.id, job.attempt):
                ray.kill(worker.actor)

    def _left(self, seconds: float) -> list[Any]:
        """What stands for the workers that are still there so many seconds later."""
        if not self._workers:
            return []
        return ray.wait(list(self._workers), num_returns=len(self._workers), timeout=seconds)[1]


def _explain(worker: Worker) -> None:
    """Log why a worker has not even begun, as when crlso is not installed where it should run; Ray tells the rest."""
    try:
        ray.get(worker.begun, timeout=0)
    except (RayError, GetTimeoutError) as error:
        _log.warning("nobody has begun with job %s: %s", worker.job.id, error)


class Processes(BaseManager):
    """Runs a `Cluster` in a process of its own."""

    def Cluster(self, address: str) -> Any:  # noqa: N802 - registering puts the class here
        """The cluster over there."""


Processes.register("Cluster", Cluster)
