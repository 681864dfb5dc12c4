"""A directory whose folders hold one thing each, named like the folder and loaded when first asked for."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import ClassVar, Generic, TypeVar

from crlso.exceptions import BundleError, unknown

_log = logging.getLogger(__name__)

T = TypeVar("T")
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Names that may be chosen for a folder: nothing else of the machine has one."""
Stamp = tuple[tuple[str, int, int], ...]


class Folders(Generic[T]):
    """Things by name; what loads stays in memory, and what does not load leaves the others alone.

    A folder is read again when its files change, so what was trained again or mended needs no restart.

    Args:
        directory: holds the folders; it may gain some, or come into being, while the service runs.
        load: reads one folder and raises BundleError when it cannot.

    Attributes:
        kind: what a folder holds, as messages call it.
    """

    kind: ClassVar[str]

    def __init__(self, directory: Path, load: Callable[[Path], T]) -> None:
        self.directory = directory
        self._load = load
        self._read: dict[str, tuple[Stamp, T | BundleError]] = {}
        self._lock = Lock()

    def names(self) -> list[str]:
        """Folders of the directory, broken ones included; hidden ones are a training's work in progress."""
        if not self.directory.is_dir():
            return []
        return sorted(path.name for path in self.directory.iterdir() if path.is_dir() and path.name[0] != ".")

    def get(self, name: str) -> T:
        """What the folder of that name holds.

        Raises:
            UnknownNameError: there is no such folder.
            BundleError: it holds nothing sound.
        """
        with self._lock:  # two first requests must not load the same folder twice
            if name not in (names := self.names()):
                raise unknown(self.kind, name, names)
            now = stamp(self.directory / name)
            if name not in self._read or self._read[name][0] != now:
                self._read[name] = now, self._content_or_fault(name)
            content = self._read[name][1]
        if isinstance(content, BundleError):
            raise BundleError(str(content))
        return content

    def install(self, made: Path) -> None:
        """Put a folder among the others, in the place of one of its name, if it holds something sound.

        Whoever uses what the old one held goes on with it.

        Raises:
            BundleError: it does not; nothing has changed then.
        """
        content, place = self._load(made), self.directory / made.name
        with self._lock:
            old = place.with_name(f".{place.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            if place.exists():
                place.rename(old)
            made.rename(place)
            self._read[place.name] = stamp(place), content
            shutil.rmtree(old, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Delete a folder.

        Raises:
            UnknownNameError: there is none of that name.
        """
        with self._lock:
            if name not in (names := self.names()):
                raise unknown(self.kind, name, names)
            old = self.directory / f".{name}.old"
            shutil.rmtree(old, ignore_errors=True)
            (self.directory / name).rename(old)
            self._read.pop(name, None)
            shutil.rmtree(old, ignore_errors=True)

    def check(self) -> tuple[dict[str, T], dict[str, str]]:
        """Everything that loads, and for all else the reason why it does not."""
        found, faults = {}, {}
        for name in self.names():
            try:
                found[name] = self.get(name)
            except BundleError as error:
                faults[name] = str(error)
        return found, faults

    def _content_or_fault(self, name: str) -> T | BundleError:
        try:
            return self._load(self.directory / name)
        except BundleError as error:
            _log.warning("%s %s is left out: %s", self.kind, name, error)
            return error


def stamp(folder: Path) -> Stamp:
    """What changes when a file of the folder does."""
    found = ((path.name, path.stat()) for path in folder.iterdir())
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in found))
