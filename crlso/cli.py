"""The `crlso` command.

Errors that the user can mend leave as one line on stderr with exit code 2, as wrong usage does; results go to
stdout, progress to stderr.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import typer.core
from rich.markup import escape
from rich.progress import DownloadColumn, MofNCompleteColumn, TextColumn
from rich.table import Table as Grid

import crlso
from crlso.commands.console import progress_bar, results
from crlso.commands.search import search
from crlso.commands.spaces import spaces
from crlso.commands.supernet import supernet
from crlso.exceptions import CrlsoError
from crlso.spaces import space_names
from crlso.tables import Table, import_official, load_table, read_table, table_names, write_table
from crlso.tables.files import SUFFIXES, check_writable

_MISUSE = 2


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
app.add_typer(spaces, name="spaces")
app.add_typer(supernet, name="supernet")
for entry in entry_points(group="crlso.commands"):  # what is installed above crlso brings commands of its own
    app.add_typer(entry.load(), name=entry.name)
app.command("search")(search)


@app.command("train")
def train_model(
    space: Annotated[str, typer.Option(help="Search space of the architectures.")],
    out: Annotated[Path, typer.Option(help="Directory of the model; made by this command.")],
    dataset: Annotated[str | None, typer.Option(help="Name of a table that comes with crlso.")] = None,
    table: Annotated[Path | None, typer.Option(help="Your own table, CSV or Parquet, instead.")] = None,
    metric: Annotated[str | None, typer.Option(help="What to learn; the table's first metric by default.")] = None,
    preset: Annotated[str, typer.Option(help="Settings to start from: default or paper.")] = "default",
    change: Annotated[list[str] | None, typer.Option("--set", help="One setting as name=value; repeatable.")] = None,
    labels: Annotated[int | None, typer.Option(min=1, help="Train on so many rows, chosen at random.")] = None,
    holdout: Annotated[float, typer.Option(min=0.0, max=0.99, help="Share of rows only evaluated on.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1 …")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Of the CPU; small graphs gain nothing from more.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a training that was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the model in the directory.")] = False,
) -> None:
    """Learn a latent space from measured architectures."""
    if (dataset is None) == (table is None):
        raise typer.BadParameter("give one of the two", param_hint="--dataset / --table")
    import torch  # the other commands answer without it

    from crlso.latent.config import configure

    settings = configure(preset, change or ())
    content = load_table(space, dataset) if dataset else read_table(table or Path(), space)
    torch.set_num_threads(threads)
    with progress_bar(MofNCompleteColumn(), TextColumn("epochs {task.fields[losses]}")) as bar:
        task = bar.add_task("training", total=settings.epochs, losses="")

        def show(epoch: int, losses: dict[str, float]) -> None:
            shown = "  ".join(f"{name} {losses[name]:.3f}" for name in ("reconstruction", "score"))
            bar.update(task, completed=epoch, losses=shown)

        model = crlso.train(
            content,
            out,
            metric=metric,
            config=settings,
            seed=seed,
            labels=labels,
            holdout=holdout,
            resume=resume,
            overwrite=force,
            device=device,
            progress=show,
        )
    quality = "  ".join(f"{name} {value:.4f}" for name, value in model.manifest["quality"].items())
    typer.echo(f"{out}: {quality}\ndigest {model.digest}")


@app.command("optimize")
def propose(
    model: Annotated[Path, typer.Argument(help="Directory of a trained model.")],
    limit: Annotated[list[str] | None, typer.Option(help="As in params<=4e5 or flops>=1e7; repeatable.")] = None,
    num_architectures: Annotated[int, typer.Option("--num-architectures", "-n", min=1)] = 8,
    num_starts: Annotated[int, typer.Option(min=1)] = 64,
    num_steps: Annotated[int, typer.Option(min=1)] = 100,
    start_from: Annotated[list[str] | None, typer.Option(help="An architecture to start at; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="An architecture not to answer; repeatable.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print what POST /optimize would answer.")] = False,
) -> None:
    """Propose architectures by ascent in a model's latent space."""
    from crlso.search.problem import parse_limit, read_problem

    problem = read_problem(
        constraints=[parse_limit(text) for text in limit or ()],
        num_architectures=num_architectures,
        num_starts=num_starts,
        num_steps=num_steps,
        start_from=start_from or (),
        exclude=exclude or (),
        seed=seed,
    )
    loaded = crlso.load_bundle(model)
    answer = crlso.optimize(loaded, problem)
    if json:
        typer.echo(answer.model_dump_json(indent=2))
        return
    grid = Grid("", "predicted", "± std", "f(z)", "measured", "params", "flops", "architecture", box=None)
    for rank, found in enumerate(answer.proposals, start=1):
        mean, std = (f"{value:.3f}" for value in (found.predicted.mean, found.predicted.std))
        measured = "" if found.measured is None else f"{found.measured:.3f}"
        costs = ("" if cost is None else f"{cost:,}" for cost in (found.params, found.flops))
        grid.add_row(str(rank), mean, std, f"{found.at_latent.value:.3f}", measured, *costs, escape(found.architecture))
    console = results()
    console.print(grid)
    bound = answer.certificate
    console.print(
        f"{answer.visited} architectures visited; {loaded.metric.name} at the maximiser {bound.value:.3f}, "
        f"certified within {bound.gap:.2g} of the best in the latent ball",
        highlight=False,
    )


@tables.command("list")
def list_tables() -> None:
    """List the tables that need no file."""
    grid = Grid("space", "table", "rows", "metrics", box=None)
    for space in space_names():
        for name in table_names(space):
            table = load_table(space, name)
            grid.add_row(space, name, f"{len(table):,}", ", ".join(metric.name for metric in table.metrics))
    results().print(grid)


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
    console = results()
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
    with progress_bar(DownloadColumn()) as bar:
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
