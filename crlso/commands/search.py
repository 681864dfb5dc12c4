"""`crlso search`: find the best of a table, or by a supernet's scores, with a budget of queries and any strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.markup import escape
from rich.progress import MofNCompleteColumn, TextColumn
from rich.table import Table as Grid
from threadpoolctl import threadpool_limits

from crlso.architecture import Architecture
from crlso.commands.console import progress_bar, results
from crlso.evaluators import TableEvaluator
from crlso.exceptions import ProblemError, UnknownNameError
from crlso.search.history import History
from crlso.search.problem import Constraint, parse_limit
from crlso.search.runner import check_free, run
from crlso.search.strategy import Strategy
from crlso.spaces import get_space
from crlso.tables import Metric, Table, load_table, read_table

if TYPE_CHECKING:
    from crlso.evaluators.one_shot import OneShotEvaluator

_Aim = tuple[str, Literal["max", "min"] | None]  # a metric's name, and its direction where it is not the table's


def search(
    space: Annotated[str, typer.Option(help="Search space of the architectures.")],
    strategy: Annotated[str, typer.Option(help="Who asks: crlso, random … (a wrong name lists all).")],
    budget: Annotated[int, typer.Option(min=1, help="The most queries, the random start included.")],
    out: Annotated[Path, typer.Option(help="Result file, whole after every query.")],
    dataset: Annotated[str | None, typer.Option(help="Name of a table that comes with crlso.")] = None,
    table: Annotated[Path | None, typer.Option(help="Your own table, CSV or Parquet, instead.")] = None,
    evaluator: Annotated[
        list[str] | None,
        typer.Option(help="Instead of a table, supernet:DIR scores with the weights of a supernet, or of several."),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="What to optimise; the table's first metric by default.")] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Instead of --metric: a column, params or flops, with :min or :max; repeatable."),
    ] = None,
    init: Annotated[int, typer.Option(min=0, help="Random architectures queried first.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Architectures asked for at once.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    minimize: Annotated[bool, typer.Option("--minimize", help="Less of the metric is better.")] = False,
    limit: Annotated[
        list[str] | None, typer.Option(help="On a cost or a column, as in params<=4e5; repeatable.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of the CPU; what is asked may depend on it.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the result file if it is there.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the result file.")] = False,
) -> None:
    """Search a table of measurements, each query one look-up in place of one training, or by a supernet's scores."""
    if sum(map(bool, (dataset, table, evaluator))) != 1:
        raise typer.BadParameter("give one of the three", param_hint="--dataset / --table / --evaluator")
    if objective and (metric or minimize):
        raise typer.BadParameter("give one of the two", param_hint="--metric, --minimize / --objective")
    if evaluator and (objective or metric or minimize):
        raise typer.BadParameter("a supernet has one metric: leave them out", param_hint="--metric / --objective")
    check_free(out, resume=resume, overwrite=force)
    limits, kept = _limits(limit or ())
    measured: TableEvaluator | OneShotEvaluator
    if evaluator:
        measured = _supernet(evaluator, space, kept)
    else:
        measured = _looked_up(dataset, table, space, _aims(objective, metric, minimize), kept)
    asker = _strategy(strategy, measured, space, seed, limits, len(measured.metrics) - len(kept))
    bar = progress_bar(MofNCompleteColumn(), TextColumn("queries {task.fields[best]}"))
    with threadpool_limits(threads), bar:
        task = bar.add_task(strategy, total=budget, best="")

        def show(history: History) -> None:
            bar.update(task, completed=len(history.queries), best=_standing(history))

        history = run(
            asker,
            measured,
            budget=budget,
            init=init,
            batch=batch,
            out=out,
            resume=resume,
            overwrite=force,
            limits=limits,
            kept=kept,
            progress=show,
        )
    _report(out, history)


def _supernet(texts: Sequence[str], space: str, kept: Sequence[Constraint]) -> OneShotEvaluator:
    """What each `supernet:DIR` names."""
    from crlso.evaluators.one_shot import OneShotEvaluator

    folders = []
    for text in texts:
        kind, _, folder = text.partition(":")
        if kind != "supernet" or not folder:
            raise ProblemError(f"{text!r} is no evaluator: write supernet:DIR, DIR the folder of a supernet")
        folders.append(Path(folder))
    if kept:
        raise ProblemError(f"a supernet does not measure {kept[0].metric}: set limits on params or flops")
    found = OneShotEvaluator(*folders)
    if found.space != get_space(space).name:
        raise ProblemError(f"{folders[0]} holds a supernet of {found.space}: search that space, not {space}")
    return found


def _looked_up(
    dataset: str | None, table: Path | None, space: str, aims: Sequence[_Aim], kept: Sequence[Constraint]
) -> TableEvaluator:
    """A table's columns of the aims, then those of the limits."""
    limited = [one.metric for one in kept]
    content = (
        _read(table, space, [*(name for name, _ in aims), *limited]) if table else load_table(space, dataset or "")
    )
    content, metrics = _metrics(content, aims)
    return TableEvaluator(content, [*metrics, *limited])


def _limits(texts: Sequence[str]) -> tuple[list[Constraint], list[Constraint]]:
    """Those on exact costs, and those on what has to be measured."""
    from crlso.evaluators.costs import COSTS

    limits = [parse_limit(text) for text in texts]
    return [one for one in limits if one.metric in COSTS], [one for one in limits if one.metric not in COSTS]


def _aims(objectives: Sequence[str] | None, metric: str | None, minimize: bool) -> list[_Aim]:
    """What to optimise, as far as the command line says it; empty for the table's own first metric."""
    if not objectives:
        return [(metric or "", "min" if minimize else None)]
    parted = [(text.rpartition(":"), text) for text in objectives]
    return [
        (name, cast(Literal["max", "min"], direction)) if direction in ("max", "min") else (text, None)
        for (name, _, direction), text in parted
    ]


def _read(path: Path, space: str, names: Sequence[str]) -> Table:
    """The columns of those names; what the file does not have may be an exact cost."""
    try:
        return read_table(path, space, [name for name in names if name])
    except UnknownNameError:
        from crlso.evaluators.costs import COSTS

        if not set(names) & set(COSTS):
            raise
        return read_table(path, space, [name for name in names if name not in COSTS])


def _metrics(table: Table, aims: Sequence[_Aim]) -> tuple[Table, list[Metric]]:
    """The table with whatever costs are aimed at, and the metrics with their directions."""
    known = [metric.name for metric in table.metrics]
    aims = [(name or known[0], direction) for name, direction in aims]
    if not {name for name, _ in aims} <= set(known):
        from crlso.evaluators.costs import with_costs

        table = with_costs(table, [name for name, _ in aims])
    metrics = [(table.metric(name), direction) for name, direction in aims]
    return table, [replace(metric, direction=direction or metric.direction) for metric, direction in metrics]


def _strategy(
    name: str,
    evaluator: TableEvaluator | OneShotEvaluator,
    space: str,
    seed: int,
    limits: Sequence[Constraint],
    objectives: int,
) -> Strategy:
    from crlso.search.registry import make_strategy

    candidates: Sequence[Architecture] | None = evaluator.candidates
    if limits:
        from crlso.search.limits import allowed

        candidates = allowed(get_space(space), limits, candidates)
    return make_strategy(name, get_space(space), seed=seed, candidates=candidates, objectives=objectives)


def _standing(history: History) -> str:
    """The best so far, in short."""
    if history.plan.reference is not None:
        return f"hypervolume {history.queries[-1].hypervolume:.6g}"
    values = [history.queries[row].values[0] for row in history.best]
    return f"best {values[0]:.6g}" if values else ""


def _report(out: Path, history: History) -> None:
    plan, console = history.plan, results()
    console.print(
        f"{out}: {len(history.queries)} queries by {plan.strategy}, seed {plan.seed}; {history.end}",
        highlight=False,
        markup=False,
    )
    wanted = (f"{name} ({way})" for name, way in zip(plan.metrics, plan.directions, strict=True))
    grid = Grid("query", *map(escape, wanted), "architecture", box=None)
    for row in history.best:
        query = history.queries[row]
        grid.add_row(str(row + 1), *(f"{value:.6g}" for value in query.values), escape(query.arch))
    console.print(grid)
    if plan.reference is not None:
        at = ", ".join(f"{value:.6g}" for value in plan.reference)
        console.print(f"hypervolume {history.queries[-1].hypervolume:.6g} above ({at})", highlight=False)
