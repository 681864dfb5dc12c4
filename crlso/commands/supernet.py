"""`crlso supernet`: search by weight sharing, train alone what comes out, and measure how well shared weights rank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TextColumn
from rich.table import Table as Grid

from crlso.commands.console import progress_bar, results
from crlso.exceptions import ProblemError
from crlso.spaces import get_space

if TYPE_CHECKING:
    from crlso.supernet.ranking import Estimate
    from crlso.supernet.runs import Progress as Told
    from crlso.supernet.runs import Row

supernet = typer.Typer(
    no_args_is_help=True, help="Search by weight sharing, and score architectures with shared weights."
)

Folder = Annotated[Path, typer.Argument(help="Folder of a search.")]
Scorers = Annotated[
    list[Path], typer.Argument(help="Folder of a supernet, of train or of search; several score together.")
]
Dataset = Annotated[str, typer.Option(help="digits, an .npz file, a folder of CIFAR, or a folder of pictures.")]
Preset = Annotated[str, typer.Option(help="Settings to start from: small or cifar for two cores, paper for a GPU.")]
Change = Annotated[list[str] | None, typer.Option("--set", help="One setting as name=value; repeatable.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1)]
Device = Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1 …")]
Threads = Annotated[int, typer.Option(min=1, help="Of the CPU.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint if there is one.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what the folder holds.")]


@supernet.command("search")
def search(
    method: Annotated[str, typer.Option(help="darts, fx-darts, snps or dnad.")],
    out: Annotated[Path, typer.Option(help="Folder of the search; made by this command.")],
    space: Annotated[str, typer.Option(help="A flexible space; darts-flexible@5 has five cells.")] = "darts-flexible",
    dataset: Dataset = "digits",
    preset: Preset = "small",
    change: Change = None,
    teacher: Annotated[Path | None, typer.Option(help="Folder of a trained network, for dnad.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 1,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Search one supernet, and write its Pareto set of architectures."""
    import torch

    from crlso.supernet.derivation import collapsed, derive
    from crlso.supernet.devices import choose_device
    from crlso.supernet.distributed import joined
    from crlso.supernet.methods.dnad import DnadSettings
    from crlso.supernet.presets import configure_search
    from crlso.supernet.runs import check_free
    from crlso.supernet.searching import search as run_search
    from crlso.supernet.sources import load_images
    from crlso.supernet.teachers import FOLDER, load_teacher, train_teacher

    torch.set_num_threads(threads)
    settings = configure_search(method, preset, {"space": space, "dataset": dataset, "seed": seed}, change or ())
    check_free(out, resume=resume, overwrite=force)
    if (teacher is not None or settings.teacher) and not isinstance(settings.method, DnadSettings):
        raise ProblemError(f"{settings.method.name} has no teacher, dnad has: leave --teacher out")
    where, images, taught = choose_device(device), load_images(settings.dataset, size=settings.size), None
    if teacher is not None:
        taught, digest = load_teacher(teacher, images, where)
        settings = settings.model_copy(update={"teacher": digest})
    with joined(where) as world, _epochs_bar() as bar:
        if isinstance(settings.method, DnadSettings) and taught is None:
            show = _line(bar, FOLDER, settings.method.teacher_epochs)
            taught = train_teacher(settings, images, out / FOLDER, where, overwrite=force, progress=show)
        records = run_search(
            settings,
            images,
            out,
            where,
            teacher=taught,
            resume=resume,
            overwrite=force,
            announce=None if world.rank else _announce,
            progress=_line(bar, method, settings.epochs),
        )
    if not world.rank:  # one process of a job writes and speaks, the others wait for it
        _show_front(out, derive(out))
        if collapsed(records):
            share = f"{records[-1]['skips']:.0%}"
            typer.echo(f"warning: {share} of what is left are skip connections: the search collapsed", err=True)
    world.wait()


@supernet.command("derive")
def derive_front(folder: Folder) -> None:
    """Write the Pareto set of a search, also of one that is under way: JSON, plot and drawings."""
    from crlso.supernet.derivation import derive

    _show_front(folder, derive(folder))


@supernet.command("retrain")
def retrain(
    out: Annotated[Path, typer.Option(help="Folder of the training, or of one folder an architecture.")],
    search: Annotated[Path | None, typer.Option(help="Folder of a search, whose Pareto set is trained.")] = None,
    arch: Annotated[str | None, typer.Option(help="Train this architecture instead.")] = None,
    space: Annotated[str, typer.Option(help="Of that architecture.")] = "darts-flexible",
    dataset: Annotated[str | None, typer.Option(help="As for search; that of the search by default.")] = None,
    preset: Preset = "small",
    change: Change = None,
    export: Annotated[list[str] | None, typer.Option(help="Also write onnx or torch; repeatable.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 1,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Train architectures alone, by the protocol of DARTS."""
    if (search is None) == (arch is None):
        raise typer.BadParameter("give one of the two", param_hint="--search / --arch")
    import torch

    from crlso.supernet.derivation import read_front
    from crlso.supernet.devices import choose_device
    from crlso.supernet.distributed import joined
    from crlso.supernet.presets import configure_training
    from crlso.supernet.sources import load_images
    from crlso.supernet.standalone import export_network, train

    torch.set_num_threads(threads)
    given: list[tuple[Path, dict[str, Any]]] = [(out, {"space": space, "arch": arch, "dataset": dataset or "digits"})]
    if search is not None:
        found, front = read_front(search)
        same = {"space": found["space"], "dataset": dataset or found["dataset"], "size": found.get("size")}
        given = [
            (out / f"arch-{number}", {**same, "arch": record["architecture"]})
            for number, record in enumerate(front, start=1)
        ]
    if unknown_formats := set(export or ()) - {"onnx", "torch"}:
        raise typer.BadParameter(f"{', '.join(unknown_formats)}: onnx or torch", param_hint="--export")
    jobs = [(folder, configure_training(preset, {**one, "seed": seed}, change or ())) for folder, one in given]
    where, images = choose_device(device), load_images(jobs[0][1].dataset, size=jobs[0][1].size)
    grid = Grid("folder", "test accuracy", "params", "flops", box=None)
    with joined(where) as world, _epochs_bar() as bar:
        for folder, settings in jobs:
            show = _line(bar, folder.name, settings.epochs)
            result = train(settings, images, folder, where, resume=resume, overwrite=force, progress=show)
            for format in () if world.rank else export or ():
                export_network(folder, images, format)
            grid.add_row(str(folder), f"{result['accuracy']:.2f}", f"{result['params']:,}", f"{result['flops']:,}")
    if not world.rank:
        results().print(grid)


@supernet.command("train")
def train_by_paths(
    out: Annotated[Path, typer.Option(help="Folder of the supernet; made by this command.")],
    space: Annotated[str, typer.Option(help="Of the cells: nasbench201.")] = "nasbench201",
    dataset: Dataset = "digits",
    preset: Preset = "small",
    change: Change = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 1,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Train a supernet by single paths, to score architectures with its weights."""
    import torch

    from crlso.supernet.devices import choose_device
    from crlso.supernet.distributed import joined
    from crlso.supernet.paths import train_paths
    from crlso.supernet.presets import configure_paths
    from crlso.supernet.sources import load_images

    torch.set_num_threads(threads)
    settings = configure_paths(preset, {"space": space, "dataset": dataset, "seed": seed}, change or ())
    where, images = choose_device(device), load_images(settings.dataset, size=settings.size)
    with joined(where) as world, _epochs_bar() as bar:
        show = _line(bar, out.name, settings.epochs)
        result = train_paths(settings, images, out, where, resume=resume, overwrite=force, progress=show)
    if not world.rank:
        results().print(f"{out}: {result['epochs']} epochs, loss {result['loss']:.4g} in the last", highlight=False)


@supernet.command("evaluate")
def evaluate(
    folders: Scorers,
    arch: Annotated[list[str], typer.Option(help="In the space's own notation; repeatable.")],
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Score architectures with the weights of a supernet."""
    import torch

    from crlso.evaluators.one_shot import OneShotEvaluator
    from crlso.supernet.devices import choose_device

    torch.set_num_threads(threads)
    evaluator = OneShotEvaluator(*folders, device=choose_device(device))
    space, grid = get_space(evaluator.space), Grid("loss", "accuracy", "architecture", box=None)
    for one in map(space.parse, arch):
        accuracy, loss = evaluator.score(one)
        grid.add_row(f"{loss:.4f}", f"{accuracy:.2f}", escape(one.text))
    results().print(grid)


@supernet.command("rank")
def rank_table(
    folders: Scorers,
    table: Annotated[Path, typer.Option(help="Measured architectures, CSV or Parquet.")],
    metric: Annotated[str, typer.Option(help="The table's column that is the truth.")],
    sample: Annotated[int, typer.Option(min=1, help="Random rows to score.")] = 300,
    out: Annotated[Path | None, typer.Option(help="JSON of the figures and of each architecture's values.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="Less of the metric is better.")] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Measure how well a supernet orders architectures, beside counting their weights."""
    import torch

    from crlso.evaluators.agreement import compare
    from crlso.evaluators.one_shot import OneShotEvaluator
    from crlso.supernet.devices import choose_device
    from crlso.supernet.runs import write_json
    from crlso.tables import Metric, read_table

    torch.set_num_threads(threads)
    evaluator = OneShotEvaluator(*folders, device=choose_device(device))
    measured = read_table(table, evaluator.space, [Metric(metric, "min") if minimize else metric])
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(evaluator.name, total=sample)
        found = compare(
            evaluator, measured, metric, sample=sample, seed=seed, progress=lambda n: bar.update(task, completed=n)
        )
    figures = found.figures(seed=seed)
    if out is not None:
        values = {"archs": [arch.text for arch in found.archs], "truth": found.truth.tolist()}
        guesses = {"guess": found.guess.tolist(), "params": found.params.tolist()}
        estimates = {who: {name: one._asdict() for name, one in row.items()} for who, row in figures.items()}
        write_json(out, {"digest": evaluator.digest, "seed": seed, "figures": estimates, **values, **guesses})
    _show_ranking(figures)


def _announce(needed: int, free: int | None) -> None:
    """How much memory training takes."""
    there = "" if free is None else f", {free / 1e9:.1f} GB are free"
    typer.echo(f"memory: about {needed / 1e9:.2f} GB{there}", err=True)


def _epochs_bar() -> Progress:
    return progress_bar(MofNCompleteColumn(), TextColumn("epochs {task.fields[standing]}"))


def _line(bar: Progress, name: str, epochs: int) -> Told:
    """A line of the bar that is told after each epoch."""
    task = bar.add_task(name, total=epochs, standing="")

    def show(count: int, row: Row) -> None:
        figures = (f"{key} {row[key]:.4g}" for key in ("loss", "accuracy", "params") if key in row)
        bar.update(task, completed=count, standing="  ".join(figures))

    return show


def _show_ranking(figures: dict[str, dict[str, Estimate]]) -> None:
    """Each figure with its interval of 95 %: the supernet's, the control's, and that of both together."""
    grid = Grid("", "supernet", "number of weights", "sum of both ranks", box=None)
    for name in figures["both"]:
        found = (figures[who][name] for who in ("evaluator", "params", "both"))
        grid.add_row(name, *(f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in found))
    results().print(grid)


def _show_front(folder: Path, front: list[Row]) -> None:
    """The Pareto set as a table."""
    grid = Grid("", "supernet's accuracy", "params", "flops", "skips", "epoch", box=None)
    for number, record in enumerate(front, start=1):
        costs = (f"{record[key]:,}" for key in ("params", "flops"))
        grid.add_row(str(number), f"{record['accuracy']:.2f}", *costs, f"{record['skips']:.0%}", str(record["epoch"]))
    console = results()
    console.print(grid)
    console.print(f"{folder}: {len(front)} architectures that no other beats in accuracy and params", highlight=False)
