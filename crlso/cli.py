"""The `crlso` command.

Errors that the user can mend leave as one line on stderr with exit code 2, as wrong usage does; results go to
stdout, progress to stderr.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import typer.core
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from crlso.exceptions import CrlsoError
from crlso.spaces import space_names
from crlso.tables import Table, import_official, load_table, read_table, table_names, write_table
from crlso.tables.files import SUFFIXES, check_writable

_MISUSE = 2
_PIPE_WIDTH = 400


class _Commands(typer.core.TyperGroup):
    """Turns crlso's errors into one line and an exit code, for every command below it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CrlsoError as error:
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(_MISUSE) from error


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, pretty_exceptions_show_locals=False, help="Latent-space architecture search."
)
tables = typer.Typer(no_args_is_help=True, help="Tables of measured architectures.")
app.add_typer(tables, name="tables")


@tables.command("list")
def list_tables() -> None:
    """List the tables that need no file."""
    grid = Grid("space", "table", "rows", "metrics", box=None)
    for space in space_names():
        for name in table_names(space):
            table = load_table(space, name)
            grid.add_row(space, name, f"{len(table):,}", ", ".join(metric.name for metric in table.metrics))
    _console().print(grid)


@tables.command("show")
def show_table(
    space: Annotated[str, typer.Argument(help="Search space of the architectures.")],
    table: Annotated[str, typer.Argument(help=f"Name of a table, or a file ending in {', '.join(SUFFIXES)}.")],
    metric: Annotated[list[str] | None, typer.Option(help="Only these metrics; may be repeated.")] = None,
    top: Annotated[int, typer.Option(min=0, help="How many of the best architectures to list.")] = 5,
) -> None:
    """Show what a table measures, and its best architectures by the first metric shown."""
    content = read_table(table, space, metric or ()) if table.endswith(SUFFIXES) else load_table(space, table)
    shown = [content.metric(name) for name in metric] if metric else list(content.metrics)
    console = _console()
    console.print(f"{escape(content.name)}: {len(content):,} architectures of {content.space}", highlight=False)
    console.print(f"digest {content.digest}", highlight=False)
    console.print(_summary(content, [m.name for m in shown]))
    best, values = content.ranked(shown[0].name)[:top], content.column(shown[0].name)
    if len(best):
        console.print(f"best by {escape(shown[0].name)} ({shown[0].direction}):", highlight=False)
    for rank, row in enumerate(best, start=1):
        console.print(f"{rank:>4}  {values[row]:<10.6g}  {escape(content.texts[row])}", highlight=False, soft_wrap=True)


@tables.command("import")
def import_table(
    official: Annotated[Path, typer.Argument(help="NAS-Bench-201-v1_*.pth, as downloaded.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
) -> None:
    """Turn the official NAS-Bench-201 file into a small table; takes minutes, but little memory."""
    check_writable(out, overwrite=force)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        table = import_official(official, lambda done, total: bar.update(task, completed=done, total=total))
    write_table(table, out, overwrite=force)
    typer.echo(f"{out}: {len(table):,} architectures, {len(table.metrics)} metrics")


def _summary(table: Table, names: list[str]) -> Grid:
    grid = Grid("metric", "best", "unit", "epochs", "trials", "rows", "min", "median", "max", "source", box=None)
    for metric in map(table.metric, names):
        values = table.column(metric.name)
        values = values[~np.isnan(values)]
        figures = (f"{figure:.6g}" for figure in (values.min(), np.median(values), values.max()))
        grid.add_row(
            escape(metric.name),
            metric.direction,
            escape(metric.unit),
            "" if metric.fidelity is None else str(metric.fidelity),
            "" if metric.num_trials is None else str(metric.num_trials),
            f"{len(values):,}",
            *figures,
            escape(metric.source),
        )
    return grid


def _console() -> Console:
    """Stdout; as wide as the content where it is no terminal, so that nothing is cut in a pipe or a file."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)
