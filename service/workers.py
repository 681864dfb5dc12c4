"""Threads for the work that would block the event loop, with a bounded queue in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import torch

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
        # One torch thread each: for small graphs more are slower, and sums keep one order on every machine.
        self._threads = ThreadPoolExecutor(count, "worker", initializer=torch.set_num_threads, initargs=(1,))
        self._capacity = count + max_waiting
        self._taken = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await the function's result from a thread; to be called from one event loop only.

        Raises:
            BusyError: as many functions as may run and wait already do.
        """
        if self._taken >= self._capacity:
            raise BusyError
        self._taken += 1
        # Shielded, because a request that is given up still occupies its thread until the function returns.
        job = asyncio.wrap_future(
            self._threads.submit(self._timed, time.perf_counter(), partial(function, *args, **kwargs))
        )
        job.add_done_callback(self._release)
        return await asyncio.shield(job)

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

    def _release(self, _: asyncio.Future[T]) -> None:
        self._taken -= 1
