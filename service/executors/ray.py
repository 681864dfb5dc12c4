"""A process of a Ray cluster for every attempt at a job.

The process is a detached actor's: it outlives the server that started it, as a local worker does, and ends itself. What
it has to say goes to the record, which is all that the server and its workers share besides the directories. So when
the cluster is out of reach, the server forgets its workers, and their heartbeats tell which of them live.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Thread
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from service.executors.ray_worker import Attempt
from service.settings import Settings
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


class RayExecutor:
    """Starts actors and notices their end.

    Args:
        settings: handed to the workers, with full paths; the directories are the same ones on all machines.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.absolute()
        self._connected = False
        self._connecting: Thread | None = None
        self.workers: dict[Any, Worker] = {}  # by what is ready when they are gone

    def ready(self) -> bool:
        if not self._connected and not (self._connecting and self._connecting.is_alive()):
            # Ray tries for minutes to reach a cluster that is not there, which must keep nobody from his work.
            self._connecting = Thread(target=self._connect, name="connecting to Ray", daemon=True)
            self._connecting.start()
        return self._connected

    def _connect(self) -> None:
        try:
            if not ray.is_initialized():
                ray.init(self._settings.ray_address, namespace=_NAMESPACE, logging_level=logging.ERROR)
            self._connected = True
        except (RayError, OSError, RuntimeError) as error:
            _log.warning("jobs wait, since there is no Ray at %s: %s", self._settings.ray_address, error)
            time.sleep(_PAUSE)

    def start(self, job: Job) -> None:
        from service.jobs.kinds import KINDS  # which import torch, while actors are to beat before they do

        accelerated = job.kind in KINDS and KINDS[job.kind].accelerated
        settings = self._settings if accelerated else self._settings.model_copy(update={"device": "cpu"})
        gpus = settings.ray_gpus if accelerated else 0.0
        actor: Any = (
            ray.remote(Attempt)
            .options(
                name=f"{job.kind} {job.id} {job.attempt}",
                namespace=_NAMESPACE,
                lifetime="detached",
                num_cpus=settings.job_threads,
                num_gpus=gpus,
                max_concurrency=2,  # one works, one listens
                max_restarts=0,  # the dispatcher decides what becomes of a job whose worker is lost
            )
            .remote(settings.environment(), job.id, job.attempt, gpus)
        )
        begun = actor.__ray_ready__.remote()
        self.workers[actor.carry_out.remote()] = Worker(job, actor, begun)

    def waiting(self) -> list[Job]:
        return [worker.job for worker in self.workers.values() if worker.waiting]

    def ended(self) -> list[Job]:
        if not self.workers:
            return []
        try:
            gone, _ = ray.wait(list(self.workers), num_returns=len(self.workers), timeout=0)
        except (RayError, OSError, RuntimeError) as error:
            _log.warning("Ray is away, and workers are watched by their heartbeats alone: %s", error)
            self.workers.clear()
            self._connected = False
            ray.shutdown()
            return []
        ended = [self.workers.pop(done) for done in gone]
        for worker in ended:
            _explain(worker)
        return [worker.job for worker in ended]

    def drain(self, patience: float) -> None:
        for worker in self.workers.values():
            if worker.waiting:
                ray.kill(worker.actor)
            else:
                worker.actor.release.remote()
        left = self._left(patience)
        for done in left:
            ray.kill(self.workers[done].actor)
        self._left(_LAST)

    def abandon(self, job: Job) -> None:
        for worker in self.workers.values():
            if (worker.job.id, worker.job.attempt) == (job.id, job.attempt):
                ray.kill(worker.actor)

    @property
    def active(self) -> int:
        return len(self.workers)

    def _left(self, seconds: float) -> list[Any]:
        """Workers that are still there so many seconds later."""
        if not self.workers:
            return []
        return ray.wait(list(self.workers), num_returns=len(self.workers), timeout=seconds)[1]


def _explain(worker: Worker) -> None:
    """Log why a worker has not even begun, as when crlso is not installed where it should run; Ray tells the rest."""
    try:
        ray.get(worker.begun, timeout=0)
    except (RayError, GetTimeoutError) as error:
        _log.warning("nobody has begun with job %s: %s", worker.job.id, error)
