"""Jobs on a Ray cluster, reached by way of a process of its own.

Ray ends the process that uses it when the cluster's head is away for a minute, which the service must outlive. Then the
workers that are left work on, watched by their heartbeats as those of another server are, and a new process waits for
the cluster to come back.
"""

from __future__ import annotations

import logging
from multiprocessing import get_context
from typing import Any

from service.executors.ray_cluster import Processes
from service.jobs.kinds import KINDS
from service.processes import end_with_parent
from service.settings import Settings
from service.store.jobs import Job

_log = logging.getLogger(__name__)


class RayExecutor:
    """Passes on what the dispatcher wants.

    Args:
        settings: handed to the workers, with full paths; the directories are the same ones on all machines.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.absolute()
        self._processes: Processes | None = None
        self._cluster: Any = None
        self._jobs: list[Job] = []

    def ready(self) -> bool:
        if self._cluster is None:
            self._processes = Processes(ctx=get_context("spawn"))
            self._processes.start(end_with_parent)
            self._cluster = self._processes.Cluster(self._settings.ray_address or "auto")
        return bool(self._ask("ready"))

    def start(self, job: Job) -> None:
        accelerated = job.kind in KINDS and KINDS[job.kind].accelerated
        settings = self._settings if accelerated else self._settings.model_copy(update={"device": "cpu"})
        self._jobs.append(job)
        self._ask("start", job, settings.environment(), settings.job_threads, settings.ray_gpus if accelerated else 0.0)

    def waiting(self) -> list[Job]:
        return self._ask("waiting") or []

    def ended(self) -> list[Job]:
        ended = self._ask("ended") or []
        self._jobs = [job for job in self._jobs if job not in ended]
        return ended

    def drain(self, patience: float) -> None:
        self._ask("drain", patience)

    def abandon(self, job: Job) -> None:
        self._ask("abandon", job)

    @property
    def active(self) -> int:
        return len(self._jobs)

    def _ask(self, method: str, *arguments: Any) -> Any:
        """What the process answers; None where there is none, or no more."""
        try:
            return getattr(self._cluster, method)(*arguments) if self._cluster is not None else None
        except (EOFError, ConnectionError):
            _log.warning("Ray is away: its jobs under way are watched by their heartbeats alone, and others wait")
            self._cluster, self._jobs = None, []
            return None
