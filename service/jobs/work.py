"""Carrying out one attempt at a job, in whatever process an executor has for it.

Whoever else works at the same job, because it was given up too early and lives on, holds the lock of the job's folder;
it is waited for, since it stops as soon as it learns that its attempt is over. So nothing in the folder is ever written
by two.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crlso.exceptions import CrlsoError
from service.jobs.context import Context, FanOut, Line, LogHandler, StoppedError, end, one_after_another
from service.jobs.kinds import KINDS
from service.settings import Settings
from service.store.database import StoreError
from service.store.jobs import Job, JobStore

_LOCK = "lock"
_LAST_WORD = 600  # seconds for which a worker tries to tell how its job has ended
_log = logging.getLogger(__name__)


def work(
    settings: Settings, job: str, attempt: int, line: Line, store: JobStore, fan_out: FanOut = one_after_another
) -> None:
    """Carry out an attempt and record how it ended.

    Args:
        settings: of the service.
        job: its id.
        attempt: that this process was given.
        line: on which the job reports and is told to stop.
        store: of jobs.
        fan_out: for evaluations that can be made at the same time.
    """
    asked = store.get(job)
    folder = job_folder(settings, job)
    folder.mkdir(parents=True, exist_ok=True)
    handler = LogHandler(line)
    logging.getLogger("crlso").addHandler(handler)
    outcome: dict[str, Any] = {}
    try:
        context = Context(settings, folder, line, fan_out)
        with suppress(StoppedError), _alone(folder, context):
            outcome = _attempt(asked, context)
    finally:
        logging.getLogger("crlso").removeHandler(handler)
        line.close()
    if line.order is not None and outcome.get("state") != "succeeded":
        _insist(lambda: end(store, job, attempt, line.order or "lost"))
    else:
        _insist(lambda: store.finish(job, attempt, **outcome))
    if line.order not in ("released", "lost"):
        shutil.rmtree(folder, ignore_errors=True)


def job_folder(settings: Settings, job: str) -> Path:
    """What a job keeps between its attempts."""
    return settings.data / "jobs" / job


def _attempt(job: Job, context: Context) -> dict[str, Any]:
    """How the job ended, as `JobStore.finish` takes it.

    Raises:
        StoppedError: it was told to stop.
    """
    kind = KINDS[job.kind]
    try:
        return {"state": "succeeded", "result": kind.run(kind.request.model_validate(job.request), context)}
    except StoppedError:
        raise
    except CrlsoError as error:
        return {"state": "failed", "error": str(error)}
    except Exception:
        _log.exception("job %s has failed", job.id)
        return {"state": "failed", "error": "a fault of the service; its log tells more under the job's id"}


@contextmanager
def _alone(folder: Path, context: Context) -> Iterator[None]:
    with (folder / _LOCK).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                context.check()
                time.sleep(0.1)
        yield


def _insist(tell: Any) -> None:
    """Tell the record how a job has ended, however long it is away."""
    deadline, delay = time.monotonic() + _LAST_WORD, 0.1
    while True:
        try:
            tell()
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(delay)
            delay = min(2 * delay, 5.0)
        else:
            return
