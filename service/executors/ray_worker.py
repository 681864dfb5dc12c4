"""What happens in the processes of a Ray cluster: attempts at jobs, and evaluations for them."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError

from service.jobs.context import Item, Line, Outcome, StoppedError, connected, one_after_another
from service.jobs.worker import carry_out
from service.settings import Settings

_LEAVING = 5.0  # seconds that an actor stays after its attempt
_log = logging.getLogger(__name__)


class Attempt:
    """An actor that carries out an attempt at a job and then ends; its process does nothing else.

    Args:
        environment: the service's settings.
        job: its id.
        attempt: the one that it is.
        gpus: that Ray has reserved for it.
    """

    def __init__(self, environment: dict[str, str], job: str, attempt: int, gpus: float) -> None:
        os.environ.update(environment)
        self._settings, self._job, self._attempt, self._gpus = Settings(), job, attempt, gpus
        self._connection = ExitStack()
        self._store, self._line = self._connection.enter_context(connected(self._settings, job, attempt))
        self._over = Event()
        # Begun here and not by a call, which would be lost with a server that dies before it arrives.
        Thread(target=self._carry_out, name=f"attempt at {job}", daemon=True).start()

    def _carry_out(self) -> None:
        # A GPU's process is not worth its start for one evaluation, and Ray gives it to no second one.
        fan_out = one_after_another if self._gpus else RayFanOut(self._line, self._settings.job_threads)
        try:
            with self._connection:
                carry_out(self._settings, self._job, self._attempt, self._line, self._store, fan_out)
        except Exception:
            _log.exception("job %s has lost its worker", self._job)
        self._over.set()
        time.sleep(_LEAVING)
        os._exit(0)  # nobody has asked when it is over

    def end(self, _begun: Any) -> None:
        """Return when the attempt is over, or rather end the process.

        What the call waits for keeps it from running beside another, which would leave its own title to the process.
        """
        self._over.wait()
        ray.actor.exit_actor()

    def release(self) -> None:
        """Have the job stop when it next reports, and put it back into the queue."""
        self._line.stop("released")


class RayFanOut:
    """Evaluations as tasks of the cluster, beside those that the job's own process makes meanwhile.

    Tasks begin at the front, as far as the cluster has room, and the process itself at the back, until they meet. So no
    room at all is no dead end; and what fails elsewhere is made here, where it fails as it would without a cluster.

    Args:
        line: tells whether to go on.
        threads: of an evaluation.
    """

    def __init__(self, line: Line, threads: int) -> None:
        self._line, self._threads = line, threads
        self._evaluate: Any = ray.remote(num_cpus=threads, max_retries=3)(_evaluate)

    def __call__(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
        todo, found = dict(enumerate(items)), {}
        tasks = {
            self._evaluate.remote(cloudpickle.dumps((function, item)), self._threads): number
            for number, item in list(todo.items())[:-1]
        }
        try:
            while todo:
                if self._line.order is not None:
                    raise StoppedError(self._line.order)
                for number, outcome in _arrived(tasks):
                    found[number] = outcome
                    todo.pop(number, None)
                if todo:
                    number, item = todo.popitem()
                    found[number] = function(item)
        finally:
            for task in tasks:
                ray.cancel(task)
        return [found[number] for number in sorted(found)]


def _arrived(tasks: dict[Any, int]) -> list[tuple[int, Any]]:
    """Take out the tasks that have ended; the numbers and outcomes of those that succeeded."""
    arrived = []
    for task in ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[0] if tasks else ():
        number = tasks.pop(task)
        try:
            arrived.append((number, ray.get(task)))
        except RayError as error:
            _log.warning("an evaluation has failed elsewhere and is made again: %s", error)
    return arrived


def _evaluate(call: bytes, threads: int) -> Any:
    """Apply a function to an item.

    Called off, it goes on to its end: an import that is broken off would leave a process that Ray gives to others
    unable to import the same again. Hence the function, whose module has imports, is unpacked here.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)
    function, item = cloudpickle.loads(call)
    return function(item)
