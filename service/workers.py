"""Threads for the work that would block the event loop, with a bounded queue in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

import torch
from threadpoolctl import threadpool_limits

P = ParamSpec("P")
T = TypeVar("T")


class BusyError(Exception):
    """All workers are taken and the queue is full: the caller should come back later."""


class LateError(Exception):
    """The answer takes longer than the caller waits; it is still being worked on."""


class Workers:
    """Runs functions in threads and refuses what it could only keep waiting.

    Args:
        count: functions that run at the same time.
        max_waiting: functions that may wait for a free thread.
        told: takes the seconds that each function waited and took.
    """

    def __init__(self, count: int, max_waiting: int, told: Callable[[float, float], None] | None = None) -> None:
        self._told = told
        # One thread each for algebra: for small graphs more are slower, and sums keep one order on every machine.
        threadpool_limits(1, "blas")  # numpy's, in the whole process; torch counts by thread
        self._threads = ThreadPoolExecutor(count, "worker", initializer=torch.set_num_threads, initargs=(1,))
        self._places = BoundedSemaphore(count + max_waiting)

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """What will be the function's result; cancelling it while the function waits gives its place to others.

        Raises:
            BusyError: as many functions as may run and wait already do.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        job = self._threads.submit(self._timed, time.perf_counter(), partial(function, *args, **kwargs))
        job.add_done_callback(lambda _: self._places.release())
        return job

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await the function's result; once it runs it occupies its thread until it returns, whoever gives it up.

        Raises:
            BusyError: as many functions as may run and wait already do.
        """
        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    def _timed(self, asked: float, function: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return function()
        finally:
            if self._told is not None:
                self._told(began - asked, time.perf_counter() - began)

    def close(self) -> None:
        """Let running functions end and drop the waiting ones."""
        self._threads.shutdown(wait=True, cancel_futures=True)
