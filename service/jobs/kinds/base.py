"""What a kind of job is: a request, what it makes, and how."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from crlso.exceptions import ProblemError, unknown
from service.folders import NAME, Folders
from service.jobs.context import Context
from service.registry import Registry
from service.supernets import Supernets

FolderName = Annotated[str, StringConstraints(pattern=NAME)]
Setting = Annotated[str, StringConstraints(max_length=200)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class JobRequest(BaseModel):
    """Base of the requests of `POST /v1/jobs`; `kind` says which of them one is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Catalogue:
    """What is there when a job is asked for, to find its faults before it is queued."""

    models: Registry
    supernets: Supernets


R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Kind(Generic[R]):
    """A kind of job.

    Attributes:
        request: model of its requests.
        run: does it; what it returns is the result, plain JSON values.
        check: raises what is wrong with a request, before it is queued.
        target: what it makes, which no two jobs may make at once; None where it makes nothing.
        accelerated: whether it is worth an accelerator.
    """

    request: type[R]
    run: Callable[[R, Context], dict[str, Any]]
    check: Callable[[R, Catalogue], None]
    target: Callable[[R], str | None] = lambda _: None
    accelerated: bool = False


def publish(made: Path, place: Path) -> None:
    """Put a finished folder where the service finds it, all at once; done already, it changes nothing.

    Raises:
        ProblemError: something else is there by now.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    mark = made.with_name(f"{made.name}.published")
    if place.exists() and not mark.exists():
        raise ProblemError(f"{place.name} has come into being meanwhile: choose another name")
    mark.touch()
    if not place.exists():
        beside = place.with_name(f".{place.name}.partial")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(made, beside)  # the two may lie on different disks
        beside.replace(place)


def check_new(name: str, folders: Folders[Any]) -> None:
    """Refuse a name that is taken.

    Raises:
        ProblemError: it is.
    """
    if name in folders.names():
        raise ProblemError(f"there is a {folders.kind} {name!r} already: choose another name")


def check_there(name: str, folders: Folders[Any]) -> None:
    """Refuse a name that stands for nothing.

    Raises:
        UnknownNameError: it does; the message lists those that do not.
    """
    if name not in (names := folders.names()):
        raise unknown(folders.kind, name, names)
