"""Runs that survive: a task repeated epoch by epoch in a folder, from whose last checkpoint it goes on.

    settings.json            what was asked for
    checkpoint.safetensors   state after the last whole epoch, settings and trace included
    trace.json               one row an epoch, for people and plots

What a task does in an epoch follows from its state, its settings and the epoch's number, and from torch's generators,
which are kept as well. So a run that was killed and resumed ends in the state of one that was not, to the last bit on a
CPU. An epoch whose loss is not finite ends the run and is not kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from crlso.exceptions import ProblemError
from crlso.supernet.checkpoint import PARTIAL, load_state, save_state, write_whole
from crlso.supernet.distributed import World

CHECKPOINT, SETTINGS, TRACE = "checkpoint.safetensors", "settings.json", "trace.json"
_OWN = frozenset({".json", ".svg", ".safetensors", ".pt2", ".onnx"})  # files of a run and of what follows from it

Row = dict[str, Any]
"""What an epoch reports, "loss" among it; plain JSON values."""
Progress = Callable[[int, Row], None]
"""Called after each epoch with the number of whole epochs and the row of the last."""


@runtime_checkable
class Task(Protocol):
    """What a run repeats."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do although there are epochs left."""

    def epoch(self, number: int) -> Row:
        """Go through the data once and say how it went."""

    def state(self) -> Any:
        """All that the next epoch depends on beside its number and the settings."""

    def load(self, state: Any) -> None:
        """Take over what `state` gave."""


def check_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Find out before anything is computed whether a run may use a folder.

    Raises:
        ProblemError: it may not.
    """
    if resume and overwrite:
        raise ProblemError("a run either goes on (--resume) or replaces another (--force)")
    if folder.exists() and not folder.is_dir():
        raise ProblemError(f"{folder} is a file: name a folder")
    if (folder / CHECKPOINT).exists():
        if not (resume or overwrite):
            raise ProblemError(f"{folder} holds a run: continue it (--resume), replace it (--force), or name another")
    elif folder.is_dir() and not (folder / SETTINGS).exists() and any(map(_foreign, folder.iterdir())):
        raise ProblemError(f"{folder} holds other things: name a folder of its own")


def carry_out(
    task: Task,
    folder: Path,
    settings: Mapping[str, Any],
    epochs: int,
    *,
    world: World | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Row]:
    """Run a task to its end.

    Args:
        task: fresh, also where an earlier run goes on.
        folder: where the run is kept; made if it is not there.
        settings: plain JSON values, equal for equal runs.
        epochs: how many at most.
        world: the job's processes; the first of them writes.
        resume: go on from the folder's checkpoint if there is one.
        overwrite: replace a run that is there.
        progress: told after each epoch.

    Returns:
        the trace, a row for each epoch.

    Raises:
        ProblemError: the folder may not be used, holds the checkpoint of another run, or the loss is not finite.
    """
    world = world or World()
    check_free(folder, resume=resume, overwrite=overwrite)
    checkpoint, trace = folder / CHECKPOINT, list[Row]()
    if resume and checkpoint.exists():
        trace = _go_on(task, checkpoint, settings)
    elif world.rank == 0:
        _make(folder)
        for old in folder.iterdir():  # what is found beside settings is to follow from them
            if old.suffix in _OWN and old.is_file():
                old.unlink()
        write_json(folder / SETTINGS, dict(settings))
    if world.rank == 0:  # a run may have ended between checkpoint and trace, and one that is replaced has its own
        write_json(folder / TRACE, trace)
    world.wait()
    for number in range(len(trace), epochs):
        if task.finished:
            break
        row = {"epoch": number, **task.epoch(number)}
        if not math.isfinite(row["loss"]):
            kept = f"the state after {number} epochs is in {checkpoint}" if number else "no epoch was completed"
            raise ProblemError(f"the loss became {row['loss']} in epoch {number}: lower the learning rate; {kept}")
        trace.append(row)
        if world.rank == 0:
            state = {"settings": dict(settings), "trace": trace, "generators": _generators(), "task": task.state()}
            save_state(checkpoint, state)
            write_json(folder / TRACE, trace)
        if progress is not None:
            progress(number + 1, row)
    world.wait()
    return trace


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a folder's run.

    Raises:
        ProblemError: it holds none.
    """
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise ProblemError(f"{folder} holds no run of a supernet: {error}") from error
    return settings


def _foreign(path: Path) -> bool:
    """Whether it is a file, and not one that a killed run left half written."""
    return path.is_file() and not path.name.endswith(PARTIAL)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProblemError(f"{folder} cannot be made: {error.strerror or error}; name another folder") from error


def _go_on(task: Task, checkpoint: Path, settings: Mapping[str, Any]) -> list[Row]:
    saved = load_state(checkpoint)
    try:
        before, trace, generators = saved["settings"], saved["trace"], saved["generators"]
        _check_same(before, settings, checkpoint)
        task.load(saved["task"])
        _set_generators(generators)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ProblemError(f"{checkpoint} does not fit this run: {error}") from error
    return list(trace)


def _check_same(before: Mapping[str, Any], settings: Mapping[str, Any], checkpoint: Path) -> None:
    changed = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
    if changed:
        said = ", ".join(f"{key} was {before.get(key)!r} and is {settings.get(key)!r}" for key in changed)
        raise ProblemError(f"{checkpoint} is of another run: {said}; resume with its settings, or name another folder")


def _generators() -> dict[str, Any]:
    found: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def _set_generators(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
