"""The connection to the record, and the bringing of its tables to the present form.

SQLite keeps a write-ahead log, so that readers and the writer do not wait for each other, and a transaction that is
going to write takes its turn at its beginning: one that had read first could not go on after another's write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

_MIGRATIONS = Path(__file__).parent / "migrations"
_PATIENCE = 10  # seconds that a writer waits for its turn
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_MIGRATING = 7_104_201  # names the lock under which one of several servers that start together migrates


class StoreError(Exception):
    """The record cannot be reached at the moment: what was asked may be asked again."""


class CollisionError(StoreError):
    """Somebody else has just made what may be there once: whoever looks again finds it."""


class SettingError(ValueError):
    """A URL that names no database the service can use."""


class Database:
    """Connections to one database.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.

    Raises:
        SettingError: the URL names another kind of database, or the driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        # SQLite's own queue of writers is a lottery, in which one of many can lose for long.
        self._turn = Lock() if self.engine.dialect.name == "sqlite" else nullcontext()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it as of one moment.

        Raises:
            StoreError: the database is locked, full or away.
        """
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that takes effect as a whole at its end, or not at all.

        Raises:
            StoreError: the database is locked, full or away.
        """
        with self._turn, self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(writes=writes) as connection, connection.begin():
                yield connection
        except IntegrityError as error:
            raise CollisionError(str(error.orig)) from error
        except (DBAPIError, PoolTimeout) as error:
            raise StoreError(str(getattr(error, "orig", None) or error)) from error

    def make(self, once: Callable[[Connection], T]) -> T:
        """Write what may be there only once; `once` finds it instead where somebody else has just made it.

        Raises:
            StoreError: the database is locked, full or away.
        """
        try:
            with self.writing() as connection:
                return once(connection)
        except CollisionError:
            with self.writing() as connection:
                return once(connection)

    def migrate(self) -> None:
        """Bring the tables to the form that this version of the service uses; safe to call from several processes.

        Raises:
            StoreError: the database cannot be reached or changed.
        """
        if self.engine.dialect.name == "sqlite" and (file := self.engine.url.database):
            try:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{file} cannot be written: {error.strerror or error}") from error
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def check(self) -> None:
        """Find out whether the record can be reached.

        Raises:
            StoreError: it cannot.
        """
        with self.reading() as connection:
            connection.execute(text("SELECT count(*) FROM alembic_version"))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        kind = parsed.drivername.partition("+")[0]
        if kind not in _DRIVERS:
            raise SettingError(f"{kind} is no database that crlso keeps its record in: sqlite or postgresql")
        if kind == "sqlite":
            return _sqlite(parsed.set(drivername="sqlite"))
        return create_engine(
            parsed.set(drivername=_DRIVERS[kind]),
            pool_pre_ping=True,  # a server that was restarted is met with a new connection, not with an error
            pool_size=10,
            max_overflow=20,
            pool_timeout=_PATIENCE,
            connect_args={"connect_timeout": _PATIENCE},
        )
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingError("not a URL of a database, as in sqlite:///crlso.db") from error
    except ModuleNotFoundError as error:
        raise SettingError(f"{error.name} is not installed: pip install 'crlso[postgres]'") from error


def _sqlite(url: Any) -> Engine:
    engine = create_engine(
        url, connect_args={"timeout": _PATIENCE, "check_same_thread": False}, pool_size=10, max_overflow=20
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
