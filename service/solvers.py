"""Processes that answer requests to optimise: threads of one process would only take turns at Python's lock.

Each has the directories of models and supernets of its own, read again when their files change, as the service's are.
They are forked from a process that has imported everything and nothing more, so that their memory is shared and one
more is there in half a second; the first comes with the service, others when they are needed.
"""

from __future__ import annotations

import gc
import logging
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Lock
from typing import ClassVar

import torch
from threadpoolctl import threadpool_limits

from service.processes import end_with_parent
from service.schemas import OptimizeRequest
from service.settings import Settings
from service.solving import Answerer, Solved, seal
from service.workers import BusyError

_ATTEMPTS = 2  # at a request whose process was killed, for lack of memory perhaps
_log = logging.getLogger(__name__)


class Solvers:
    """Answers as a thread of the service would, in another process.

    Args:
        settings: of this instance.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._lock = Lock()
        self._pool: ProcessPoolExecutor

    def start(self) -> None:
        """Have the first process come up, which nobody waits for."""
        self._pool = ProcessPoolExecutor(self._settings.workers, self._context, _Solver.begin, (self._settings,))
        self._pool.submit(int)

    def __call__(self, request: OptimizeRequest) -> Solved:
        """Wait for the answer; whatever the request is refused for is raised here.

        Raises:
            BusyError: processes are killed as soon as they work at this request.
        """
        for _ in range(_ATTEMPTS):
            pool = self._pool
            try:
                return pool.submit(_Solver.solve, request).result()
            except BrokenProcessPool:
                self._replace(pool)
        raise BusyError

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                _log.warning("a process that was solving has been killed: starting others")
                self.start()


class _Solver:
    """What such a process knows."""

    answer: ClassVar[Answerer]

    @classmethod
    def begin(cls, settings: Settings) -> None:
        gc.freeze()  # what was imported stays shared: looking for garbage among it would write to its memory
        end_with_parent()
        torch.set_num_threads(1)  # as threads of the service do it
        threadpool_limits(1, "blas")
        cls.answer = Answerer(settings)
        cls.answer.registry.check()  # loads the models, which the first request finds warm

    @classmethod
    def solve(cls, request: OptimizeRequest) -> Solved:
        return seal(cls.answer(request))
