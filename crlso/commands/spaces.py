"""`crlso spaces`: what can be searched, and whether a description of your own is one."""

from __future__ import annotations

from inspect import getdoc
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table as Grid

from crlso.commands.console import results
from crlso.spaces import SearchSpace, get_space, space_names
from crlso.testing import check_space

_DRAWS = 2_000  # among which twins are counted where a space is too large to list
_CHECKED = 25  # architectures on which the laws of a space are checked
_SHOWN = 3  # samples that a check prints

spaces = typer.Typer(no_args_is_help=True, help="Search spaces, those of your own included.")

Named = Annotated[str, typer.Argument(help="Name of a space, or a YAML file that describes one.")]


@spaces.command("list")
def list_spaces() -> None:
    """List the spaces that come with crlso."""
    grid = Grid("space", "architectures", "decisions", "what", box=None)
    for space in map(get_space, space_names()):
        what = (getdoc(type(space)) or "").splitlines()[0]
        grid.add_row(space.name, f"{space.size:.4g}", str(len(space.options)), escape(what))
    results().print(grid)


@spaces.command("check")
def check(space: Named) -> None:
    """Read a description, check the laws of a search space on samples, and show what it describes."""
    known = get_space(space)
    console = results()
    console.print(f"{known.name}: {known.size:,} architectures, {_classes(known)}", highlight=False)
    schema = known.schema
    console.print(
        f"a graph has at most {schema.num_nodes} nodes of {len(schema.node_types)} types and edges of "
        f"{len(schema.edge_types) - 1}; {len(known.options)} decisions with "
        f"{min(map(len, known.options))} to {max(map(len, known.options))} options",
        highlight=False,
    )
    check_space(known, np.random.default_rng(0), n=_CHECKED)
    console.print("the laws of a search space hold on samples, of which some are:", highlight=False)
    for text in _samples(known, min(_SHOWN, known.size), seed=0):
        typer.echo(text)


@spaces.command("sample")
def sample(
    space: Named,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many, all distinct.")] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Print random architectures, one a line."""
    for text in _samples(get_space(space), number, seed):
        typer.echo(text)


def _samples(space: SearchSpace, n: int, seed: int) -> list[str]:
    return [arch.text for arch in space.sample(n, np.random.default_rng(seed))]


def _classes(space: SearchSpace) -> str:
    """How many of them are different functions."""
    if space.enumerable:
        return f"{len({arch.key for arch in space.enumerate()}):,} different functions"
    draws = space.sample(min(_DRAWS, space.size), np.random.default_rng(0))
    return f"too many to list; {len({arch.key for arch in draws}):,} of {len(draws):,} samples are different functions"
