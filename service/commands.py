"""`crlso service`: what an operator does from a shell. The `crlso` command finds it by its entry point."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table as Grid

from crlso.commands.console import results
from crlso.exceptions import ProblemError
from service.settings import Settings

if TYPE_CHECKING:
    from service.store.database import Database

service = typer.Typer(no_args_is_help=True, help="The HTTP service, its keys and its record.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
service.add_typer(keys, name="keys")
_DAY = 24 * 3600


@service.command()
def run() -> None:
    """Serve until interrupted; settings are environment variables, which `crlso service settings` lists."""
    from service.__main__ import main

    main()


@service.command()
def settings() -> None:
    """List the settings as a table in Markdown."""
    typer.echo(settings_table())


@service.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from service.app import create_app

    typer.echo(json.dumps(create_app(Settings()).openapi(), indent=1))


@service.command()
def reference() -> None:
    """Print the paths as a page in Markdown."""
    from service.app import create_app
    from service.reference import reference

    typer.echo(reference(create_app(Settings()).openapi()), nl=False)


@service.command()
def migrate() -> None:
    """Bring the record's tables to the form of this version; the service does so itself when it starts."""
    _database()
    typer.echo("the record is up to date")


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Whose key it is, for people.")],
    scope: Annotated[str, typer.Option(help="read, submit or admin; each may do what the one before may.")] = "submit",
    days: Annotated[float | None, typer.Option(min=0, help="For how long; for ever when left out.")] = None,
) -> None:
    """Make a key and print it; it is shown this once."""
    from service.store.keys import SCOPES, KeyStore

    if scope not in SCOPES:
        raise ProblemError(f"{scope!r} is no scope: choose one of {', '.join(SCOPES)}")
    expires = None if days is None else time.time() + days * _DAY
    key, text = KeyStore(_database()).create(name, scope, expires)
    typer.echo(f"key {key.id} of scope {key.scope}; it is shown this once:", err=True)
    typer.echo(text)


@keys.command("list")
def list_keys() -> None:
    """List all keys."""
    from service.store.keys import KeyStore

    grid = Grid("id", "name", "scope", "created", "expires", "revoked", box=None)
    for key in KeyStore(_database()).list():
        times = ("" if when is None else _date(when) for when in (key.created, key.expires, key.revoked))
        grid.add_row(key.id, escape(key.name), key.scope, *times)
    results().print(grid)


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="Its id, as `list` shows it.")]) -> None:
    """Let a key open nothing any more."""
    from service.store.keys import KeyStore

    revoked = KeyStore(_database()).revoke(key)
    typer.echo(f"key {revoked.id}, {revoked.name}, is revoked")


def settings_table() -> str:
    """All settings with their defaults, in Markdown."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        if name == "workers":
            default = "number of CPUs"
        rows.append(f"| `CRLSO_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def read_settings() -> Settings:
    """The settings of the environment; a fault of theirs ends the process with exit code 2."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = f"CRLSO_{str(fault['loc'][0]).upper()}: " if fault["loc"] else ""
            typer.echo(f"{name}{fault['msg'].removeprefix('Value error, ')}", err=True)
        sys.exit(2)


def _database() -> Database:
    """The record, its tables up to date."""
    from service.store.database import Database, SettingError, StoreError

    try:
        database = Database(read_settings().database)
        database.migrate()
    except (SettingError, StoreError) as error:
        raise ProblemError(f"CRLSO_DATABASE_URL: {error}") from error
    return database


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
