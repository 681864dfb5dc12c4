"""Where commands speak: results on stdout, progress on stderr."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

_PIPE_WIDTH = 400


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr, none where that is no terminal."""
    terminal = Console(stderr=True)
    described = (TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn())
    return Progress(*described, console=terminal, transient=True, disable=not terminal.is_terminal)


def results() -> Console:
    """Stdout; as wide as the content where it is no terminal, so that nothing is cut in a pipe or a file."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)
