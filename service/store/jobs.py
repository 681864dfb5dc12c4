"""Jobs, what happens to them, and what they say of it.

    queued -> running -> succeeded | failed | cancelled
       ^---------'  released by a worker that is told to stop, or reclaimed from one that is gone

Who claims a job begins an attempt, and every word about the job names the attempt: the words of a worker that was given
up, and lives on nevertheless, no longer count. Its heartbeat is a counter, so that no clocks need to agree. Every
change of state is an event, written in the same transaction.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from service.store.database import Database
from service.store.rows import ConflictError, NotFoundError, Origin, Page, newest_first
from service.store.schema import events, jobs

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
Standing = Literal["ours", "cancelled", "lost"]
"""What a worker learns with each beat: to go on, to stop, or that the job is no longer its own."""


@dataclass(frozen=True)
class Job:
    """Work that outlives the request that asked for it."""

    id: str
    owner: str
    kind: str
    request: dict[str, Any]
    state: State
    cancelled: bool
    attempt: int
    losses: int
    beat: int
    progress: dict[str, Any] | None
    error: str | None
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True)
class Event:
    """Something that a job said; numbers count from 1 without gaps."""

    number: int
    kind: Literal["state", "progress", "log"]
    data: dict[str, Any]


class JobStore:
    """Jobs in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self,
        origin: Origin,
        kind: str,
        request: Mapping[str, Any],
        *,
        target: str | None = None,
        most: int | None = None,
    ) -> tuple[Job, bool]:
        """Queue a job, or find the one that the origin's idempotency key has queued.

        Args:
            origin: who asks.
            kind: of the job.
            request: what it is to do, plain JSON values.
            target: what it makes, which no two living jobs may make.
            most: living jobs that an owner may have.

        Returns:
            the job, and whether it is new.

        Raises:
            ReusedKeyError: the key has queued another.
            ConflictError: a living job makes the same, or the owner has too many.
        """
        asked = {"kind": kind, **request}
        row = {"kind": kind, "request": dict(request), "target": target, "state": "queued"}

        def once(connection: Connection) -> tuple[Job, bool]:
            if (earlier := origin.earlier(connection, jobs, asked)) is not None:
                return _job(earlier), False
            _check_room(connection, origin.owner, target, most)
            job = secrets.token_hex(8)
            columns = {"id": job, "created": time.time(), **row, **origin.columns(asked)}
            connection.execute(insert(jobs).values(**columns))
            return self._changed(connection, job, state="queued"), True

        return self._database.make(once)

    def get(self, job: str) -> Job:
        """A job by its id.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as connection:
            return _job(_found(connection, job))

    def result(self, job: str) -> dict[str, Any]:
        """What a job has made.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has not succeeded.
        """
        with self._database.reading() as connection:
            row = _found(connection, job)
        if row.state != "succeeded":
            reason = f": {row.error}" if row.error else ""
            raise ConflictError(f"job {job} is {row.state}{reason}; a job that succeeded has a result")
        return dict(row.result)

    def page(
        self, size: int, token: str | None = None, *, state: str | None = None, kind: str | None = None
    ) -> Page[Job]:
        """Jobs, newest first."""
        conditions: list[ColumnElement[bool]] = []
        if state is not None:
            conditions.append(jobs.c.state == state)
        if kind is not None:
            conditions.append(jobs.c.kind == kind)
        with self._database.reading() as connection:
            page = newest_first(connection, jobs, size, token, *conditions)
        return Page([_job(row) for row in page.items], page.next_token)

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        query = select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)
        with self._database.reading() as connection:
            return {**dict.fromkeys(STATES, 0), **{row.state: row.number for row in connection.execute(query)}}

    def events(self, job: str, after: int = 0, *, kind: str | None = None, last: int | None = None) -> list[Event]:
        """What a job has said.

        Args:
            job: its id.
            after: leave out events up to this number.
            kind: leave out others.
            last: only so many of the latest ones.
        """
        query = select(events).where(events.c.job == job, events.c.number > after)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        with self._database.reading() as connection:
            _found(connection, job)
            rows = list(connection.execute(query.order_by(events.c.number.desc()).limit(last)))
        return [Event(row.number, row.kind, row.data) for row in reversed(rows)]

    def claim(self) -> Job | None:
        """Begin an attempt at the job that has waited longest; None where none waits."""
        with self._database.writing() as connection:
            waiting = select(jobs.c.id).where(jobs.c.state == "queued").order_by(jobs.c.created, jobs.c.id).limit(1)
            job = connection.scalar(waiting.with_for_update(skip_locked=True))
            if job is None:
                return None
            row = _found(connection, job)
            return self._changed(
                connection, job, state="running", attempt=row.attempt + 1, beat=0, started=row.started or time.time()
            )

    def running(self) -> list[Job]:
        """Jobs with an attempt under way, or so it is thought."""
        with self._database.reading() as connection:
            return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.state == "running"))]

    def beat(self, job: str, attempt: int) -> Standing:
        """Say that a worker lives, and learn how its job stands."""
        with self._database.writing() as connection:
            row = _attempted(connection, job, attempt)
            if row is None:
                return "lost"
            connection.execute(update(jobs).where(jobs.c.id == job).values(beat=row.beat + 1))
            return "cancelled" if row.cancelled else "ours"

    def say(self, job: str, attempt: int, said: Sequence[tuple[Literal["progress", "log"], dict[str, Any]]]) -> bool:
        """Record what a worker has to say; False where the job is no longer its own."""
        with self._database.writing() as connection:
            row = _attempted(connection, job, attempt)
            if row is None:
                return False
            news = [data for kind, data in said if kind == "progress"]
            if news:
                connection.execute(update(jobs).where(jobs.c.id == job).values(progress=news[-1]))
            _append(connection, row, said)
            return True

    def finish(
        self,
        job: str,
        attempt: int,
        state: Literal["succeeded", "failed", "cancelled"],
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> bool:
        """End a job, once; False where the job is no longer the attempt's own."""
        with self._database.writing() as connection:
            if _attempted(connection, job, attempt) is None:
                return False
            self._changed(connection, job, state=state, result=result, error=error, finished=time.time())
            return True

    def release(self, job: str, attempt: int) -> None:
        """Put a job back into the queue for somebody else to go on with."""
        with self._database.writing() as connection:
            if (row := _attempted(connection, job, attempt)) is not None:
                self._yield(connection, row)

    def reclaim(self, job: str, attempt: int, beat: int | None, most_losses: int) -> None:
        """Take a job from a worker that is gone, and queue it again unless that has happened too often.

        Args:
            job: its id.
            attempt: of the worker.
            beat: the last one; a later one shows that the worker lives. None where it is known to be gone.
            most_losses: after so many a job has failed.
        """
        with self._database.writing() as connection:
            row = _attempted(connection, job, attempt)
            if row is None or (beat is not None and row.beat != beat):
                return
            connection.execute(update(jobs).where(jobs.c.id == job).values(losses=row.losses + 1))
            if row.losses + 1 < most_losses:
                self._yield(connection, row)
            else:
                error = f"its worker was lost {most_losses} times; the service's log may tell why"
                self._changed(connection, job, state="failed", error=error, finished=time.time())

    def cancel(self, job: str) -> Job:
        """Ask for a job to end; what has ended stays as it is."""
        with self._database.writing() as connection:
            row = _found(connection, job, lock=True)
            if row.state == "queued":
                return self._changed(connection, job, state="cancelled", cancelled=True, finished=time.time())
            if row.state == "running":
                connection.execute(update(jobs).where(jobs.c.id == job).values(cancelled=True))
            return _job(_found(connection, job))

    def answer(self, job: str, result: Mapping[str, Any]) -> None:
        """End a job that nobody has begun with a result that came about in another way."""
        with self._database.writing() as connection:
            row = _found(connection, job, lock=True)
            if row.state == "queued":
                now = time.time()
                self._changed(connection, job, state="succeeded", result=result, started=row.created, finished=now)

    def _yield(self, connection: Connection, row: Row[Any]) -> None:
        """Queue again, unless somebody wants it to end."""
        if row.cancelled:
            self._changed(connection, row.id, state="cancelled", finished=time.time())
        else:
            self._changed(connection, row.id, state="queued")

    def _changed(self, connection: Connection, job: str, **columns: Any) -> Job:
        """Write columns, the state among them, and the event that tells it."""
        connection.execute(update(jobs).where(jobs.c.id == job).values(**columns))
        row = _found(connection, job)
        _append(connection, row, [("state", {"state": row.state, "attempt": row.attempt, "error": row.error})])
        return _job(row)


def _check_room(connection: Connection, owner: str, target: str | None, most: int | None) -> None:
    """Refuse a job that makes what another is making, or one too many."""
    living = jobs.c.state.in_(("queued", "running"))
    own = connection.scalar(select(func.count()).where(living, jobs.c.owner == owner)) or 0
    if most is not None and own >= most:
        raise ConflictError(f"{own} jobs of yours are queued or running: wait for one, or cancel one")
    same = connection.scalar(select(jobs.c.id).where(living, jobs.c.target == target))
    if target is not None and same is not None:
        raise ConflictError(f"job {same} is making {target}: wait for it, or choose another name")


def _append(connection: Connection, row: Row[Any], said: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Number what was said; the row must be locked."""
    connection.execute(update(jobs).where(jobs.c.id == row.id).values(events=row.events + len(said)))
    rows = [
        {"job": row.id, "number": number, "kind": kind, "data": data, "time": time.time()}
        for number, (kind, data) in enumerate(said, start=row.events + 1)
    ]
    if rows:
        connection.execute(insert(events), rows)


def _found(connection: Connection, job: str, *, lock: bool = False) -> Row[Any]:
    query = select(jobs).where(jobs.c.id == job)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no job {job!r}: GET /v1/jobs lists them")
    return row


def _attempted(connection: Connection, job: str, attempt: int) -> Row[Any] | None:
    """The job's row, locked, if this attempt at it is under way."""
    mine = and_(jobs.c.id == job, jobs.c.attempt == attempt, jobs.c.state == "running")
    return connection.execute(select(jobs).where(mine).with_for_update()).one_or_none()


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        owner=row.owner,
        kind=row.kind,
        request=row.request,
        state=row.state,
        cancelled=row.cancelled,
        attempt=row.attempt,
        losses=row.losses,
        beat=row.beat,
        progress=row.progress,
        error=row.error,
        created=row.created,
        started=row.started,
        finished=row.finished,
    )
