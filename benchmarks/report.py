"""What every benchmark does alike: worker processes of one thread, JSON with the environment, a table on stdout."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

PACKAGES = ("crlso", "torch", "torch-geometric", "numpy", "scikit-learn")


def run_all(task: Callable[..., Any], arguments: Iterable[Sequence[Any]], processes: int) -> list[Any]:
    """Results of a task in the order of its arguments, each process on one thread."""
    return list(run_each(task, arguments, processes))


def run_each(task: Callable[..., Any], arguments: Iterable[Sequence[Any]], processes: int) -> Iterator[Any]:
    """The same, one by one as they come, for who saves each at once."""
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(task, *args) for args in arguments]
        for future in track(futures, "running", console=Console(stderr=True)):
            yield future.result()


def environment() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def save(path: Path, command: str, results: Any) -> None:
    """Write results and environment as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"command": command, "environment": environment(), "results": results}, indent=1) + "\n")


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A Markdown table, as the pages under docs/results hold it."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def _processor() -> str:
    """The CPU's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()
