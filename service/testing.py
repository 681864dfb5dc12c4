"""A PostgreSQL server of one's own, for tests and benchmarks."""

from __future__ import annotations

import getpass
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL


class PostgresAbsentError(Exception):
    """Why there can be no server here."""


class Postgres:
    """A server with a folder of its own, reached through a socket there."""

    def __init__(self, folder: Path, programs: Path, account: str | None) -> None:
        self._folder, self._programs, self._account = folder, programs, account
        self._run("initdb", "-D", folder / "data", "-A", "trust", "-U", "crlso", "--no-sync")
        self.start()

    def start(self) -> None:
        """Let it listen."""
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-l", self._folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """Break off whatever it does."""
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")

    def create(self, name: str) -> str:
        """Make an empty database; its URL."""
        engine = create_engine(self._url("postgres").set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self._url(name).render_as_string(hide_password=False)

    def _url(self, name: str) -> URL:
        return URL.create("postgresql", username="crlso", database=name, query={"host": str(self._folder)})

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # The server keeps what it inherits, so that a pipe would never end.
        subprocess.run(  # noqa: S603 - arguments are made here
            command, user=self._account, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server.

    Raises:
        PostgresAbsentError: none is installed, or none may run.
    """
    programs, account = _programs(), _account()
    folder = Path(mkdtemp(prefix="crlso-", dir="/tmp"))
    if account is not None:
        shutil.chown(folder, account)
    server = Postgres(folder, programs, account)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise PostgresAbsentError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


def _account() -> str | None:
    """Who may run the server, which refuses root."""
    if getpass.getuser() != "root":
        return None
    if "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        raise PostgresAbsentError("PostgreSQL does not run as root, and there is no account postgres")
    return "postgres"
