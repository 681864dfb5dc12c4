"""A process of this machine for every attempt at a job.

It outlives the server that started it, if that is killed: the job is then finished all the same, and only watched by
whoever comes next.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from service.settings import Settings
from service.store.jobs import Job


class LocalExecutor:
    """Starts worker processes and notices their end.

    Args:
        settings: handed to the workers in their environment.
    """

    def __init__(self, settings: Settings) -> None:
        self._environment = {
            **os.environ,
            **settings.environment(),
            "OMP_NUM_THREADS": str(settings.job_threads),
        }
        self.workers: dict[subprocess.Popen[bytes], Job] = {}

    def ready(self) -> bool:
        return True

    def start(self, job: Job) -> None:
        command = [sys.executable, "-m", "service.jobs.worker", job.id, str(job.attempt)]
        # A session of its own: Ctrl-C in the server's terminal is the server's business.
        worker = subprocess.Popen(command, env=self._environment, start_new_session=True)  # noqa: S603
        self.workers[worker] = job

    def waiting(self) -> list[Job]:
        return []

    def ended(self) -> list[Job]:
        gone = [worker for worker in self.workers if worker.poll() is not None]
        return [self.workers.pop(worker) for worker in gone]

    def drain(self, patience: float) -> None:
        for worker in self.workers:
            worker.terminate()
        deadline = time.monotonic() + patience
        for worker in self.workers:
            try:
                worker.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def abandon(self, job: Job) -> None:
        for worker, own in self.workers.items():
            if (own.id, own.attempt) == (job.id, job.attempt):
                worker.kill()

    @property
    def active(self) -> int:
        return len(self.workers)
