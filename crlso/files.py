"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, partial: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of what is at a path once all of it is on the disk.

    On any error what was there stays, and the half-written file goes; a process that is killed leaves that one.

    Args:
        path: where the content is wanted.
        partial: where it is written, in the same folder.

    Raises:
        OSError: it cannot be written.
    """
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()
