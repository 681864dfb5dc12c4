"""Studies and their trials.

A trial waits, then runs at a client, then is told: done, failed or infeasible, and stays what it was told. No two
trials of a study are of one isomorphism class, and no two clients have the same one; a client that comes back without
having told what it has gets the same again. All of this is kept by the database, whichever of several servers asks.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from service.store.database import Database
from service.store.rows import ConflictError, NotFoundError, Origin, Page, make_token, newest_first, read_token
from service.store.schema import studies, trials

Outcome = Literal["done", "failed", "infeasible"]
State = Literal["waiting", "running", "done", "failed", "infeasible"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed", "infeasible")


@dataclass(frozen=True)
class Study:
    """A search of somebody's who evaluates the architectures.

    Attributes:
        plan: what was asked for when it was made, as plain JSON values.
        counts: trials by state.
    """

    id: str
    name: str
    plan: dict[str, Any]
    created: float
    counts: dict[str, int]


@dataclass(frozen=True)
class Trial:
    """An architecture of a study, and what is known of it."""

    number: int
    architecture: str
    state: State
    client_id: str | None
    values: tuple[float, ...] | None
    created: float
    finished: float | None


@dataclass(frozen=True)
class Record:
    """What a strategy goes on from.

    Attributes:
        told: trials in the order of the telling.
        open: all others, in the order of their numbers.
    """

    told: list[Trial]
    open: list[Trial]

    @property
    def trials(self) -> int:
        """How many there are."""
        return len(self.told) + len(self.open)

    def waits(self, budget: int | None) -> bool:
        """Whether a trial within the budget waits for a client."""
        return any(trial.state == "waiting" and (budget is None or trial.number <= budget) for trial in self.open)


class StudyStore:
    """Studies in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, origin: Origin, name: str, plan: Mapping[str, Any]) -> tuple[Study, bool]:
        """Make a study, or find the one that the origin's idempotency key has made.

        Returns:
            the study, and whether it is new.

        Raises:
            ReusedKeyError: the key has made another.
        """
        request = {"name": name, "plan": plan}

        def once(connection: Connection) -> tuple[Study, bool]:
            if (earlier := origin.earlier(connection, studies, request)) is not None:
                return _study(connection, earlier), False
            study = secrets.token_hex(8)
            row = {"id": study, "name": name, "plan": plan, "told": 0, "created": time.time()}
            connection.execute(insert(studies).values(**row, **origin.columns(request)))
            return _study(connection, _found(connection, study)), True

        return self._database.make(once)

    def get(self, study: str) -> Study:
        """A study by its id.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as connection:
            return _study(connection, _found(connection, study))

    def plan(self, study: str) -> dict[str, Any]:
        """What was asked for when a study was made, without counting its trials.

        Raises:
            NotFoundError: there is no such study.
        """
        with self._database.reading() as connection:
            return dict(_found(connection, study).plan)

    def page(self, size: int, token: str | None = None) -> Page[Study]:
        """Studies, newest first."""
        with self._database.reading() as connection:
            page = newest_first(connection, studies, size, token)
            return Page([_study(connection, row) for row in page.items], page.next_token)

    def delete(self, study: str) -> None:
        """Forget a study and its trials."""
        with self._database.writing() as connection:
            _locked(connection, study)
            connection.execute(delete(trials).where(trials.c.study == study))
            connection.execute(delete(studies).where(studies.c.id == study))

    def assign(self, study: str, client: str, count: int, budget: int | None) -> list[Trial]:
        """The trials that a client is to work on: those it has already, then waiting ones.

        Args:
            study: its id.
            client: who asks.
            count: at most so many.
            budget: trials of higher numbers stay where they are.
        """
        with self._database.writing() as connection:
            _locked(connection, study)
            own = and_(trials.c.study == study, trials.c.client == client, trials.c.state == "running")
            rows = list(connection.execute(select(trials).where(own).order_by(trials.c.number).limit(count)))
            waiting = and_(trials.c.study == study, trials.c.state == "waiting")
            if budget is not None:
                waiting = and_(waiting, trials.c.number <= budget)
            free = select(trials.c.number).where(waiting).order_by(trials.c.number).limit(count - len(rows))
            numbers = list(connection.scalars(free))
            taken = and_(trials.c.study == study, trials.c.number.in_(numbers))
            connection.execute(update(trials).where(taken).values(state="running", client=client))
            rows += connection.execute(select(trials).where(taken).order_by(trials.c.number))
            return [_trial(row) for row in rows]

    def propose(self, study: str, found: Sequence[Architecture], after: int) -> bool:
        """Let architectures wait for a client.

        Args:
            study: its id.
            found: of classes that the study has not had.
            after: how many trials there were when they were thought of.

        Returns:
            whether they were taken: not if somebody else proposed meanwhile.
        """
        with self._database.writing() as connection:
            _locked(connection, study)
            if _count(connection, study) != after:
                return False
            rows = [
                {"study": study, "number": after + row, "architecture": arch.text, "key": _key(arch)}
                for row, arch in enumerate(found, start=1)
            ]
            fresh = {"state": "waiting", "created": time.time()}
            connection.execute(insert(trials), [{**row, **fresh} for row in rows])
            return True

    def tell(
        self,
        study: str,
        trial: int | Architecture,
        outcome: Outcome,
        values: Sequence[float] | None,
    ) -> Trial:
        """Record what came of an architecture, asked for or not.

        Telling the same again changes nothing.

        Raises:
            NotFoundError: there is no such study.
            ProblemError: it has no trial of that number.
            ConflictError: something else was told of it, or of a twin.
        """
        with self._database.writing() as connection:
            told = _locked(connection, study).told + 1
            row = _row_of(connection, study, trial)
            known: dict[str, Any] = {"state": outcome, "measured": None if values is None else list(values)}
            if row is not None and row.state in ("done", "failed", "infeasible"):
                same = {"state": row.state, "measured": row.measured} == known
                if not same or (isinstance(trial, Architecture) and trial.text != row.architecture):
                    raise ConflictError(
                        f"trial {row.number}, {row.architecture}, was told to be {row.state}"
                        + (f" with {row.measured}" if row.measured else "")
                        + ": what was told stays"
                    )
                return _trial(row)
            known |= {"told": told, "finished": time.time()}
            if row is None:
                if isinstance(trial, int):
                    raise ProblemError(f"the study has no trial {trial}: ask for one, or tell an architecture")
                last = _count(connection, study)
                fresh = {"study": study, "number": last + 1, "key": _key(trial), "created": time.time()}
                connection.execute(insert(trials).values(architecture=trial.text, **fresh, **known))
                number = last + 1
            else:
                number = row.number
                if isinstance(trial, Architecture):
                    known["architecture"] = trial.text  # the twin that was really trained
                connection.execute(update(trials).where(*_at(study, number)).values(**known))
            connection.execute(update(studies).where(studies.c.id == study).values(told=told))
            return _trial(connection.execute(select(trials).where(*_at(study, number))).one())

    def record(self, study: str) -> Record:
        """All trials, as a strategy takes them."""
        with self._database.reading() as connection:
            _found(connection, study)
            rows = list(connection.execute(select(trials).where(trials.c.study == study).order_by(trials.c.number)))
        told = sorted((row for row in rows if row.told is not None), key=lambda row: row.told)
        return Record([_trial(row) for row in told], [_trial(row) for row in rows if row.told is None])

    def trials(self, study: str, state: State | None, size: int, token: str | None = None) -> Page[Trial]:
        """Trials in the order of their numbers."""
        with self._database.reading() as connection:
            _found(connection, study)
            query = select(trials).where(trials.c.study == study)
            if state is not None:
                query = query.where(trials.c.state == state)
            if token is not None:
                query = query.where(trials.c.number > read_token(token, int)[0])
            rows = list(connection.execute(query.order_by(trials.c.number).limit(size + 1)))
        more = make_token(rows[size - 1].number) if len(rows) > size else None
        return Page([_trial(row) for row in rows[:size]], more)


def _at(study: str, number: int) -> tuple[Any, Any]:
    return trials.c.study == study, trials.c.number == number


def _count(connection: Connection, study: str) -> int:
    return connection.scalar(select(func.count()).where(trials.c.study == study)) or 0


def _key(arch: Architecture) -> str:
    return hashlib.sha256(arch.key.encode()).hexdigest()


def _row_of(connection: Connection, study: str, trial: int | Architecture) -> Row[Any] | None:
    same = trials.c.number == trial if isinstance(trial, int) else trials.c.key == _key(trial)
    return connection.execute(select(trials).where(trials.c.study == study, same)).one_or_none()


def _found(connection: Connection, study: str, *, lock: bool = False) -> Row[Any]:
    query = select(studies).where(studies.c.id == study)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no study {study!r}: GET /v1/studies lists them")
    return row


def _locked(connection: Connection, study: str) -> Row[Any]:
    """The study's row, which nobody else changes before the transaction ends."""
    return _found(connection, study, lock=True)


def _study(connection: Connection, row: Row[Any]) -> Study:
    query = (
        select(trials.c.state, func.count().label("number")).where(trials.c.study == row.id).group_by(trials.c.state)
    )
    counts = {**dict.fromkeys(STATES, 0), **{row.state: row.number for row in connection.execute(query)}}
    return Study(row.id, row.name, row.plan, row.created, counts)


def _trial(row: Row[Any]) -> Trial:
    values = None if row.measured is None else tuple(row.measured)
    return Trial(row.number, row.architecture, row.state, row.client, values, row.created, row.finished)
