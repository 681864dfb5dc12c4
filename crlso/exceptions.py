"""Errors that crlso raises on purpose; every message says what is wrong and what would be right.

The command line prints them and exits with code 2; the service answers them as problem+json. Anything else
that escapes is a defect of crlso.
"""

from __future__ import annotations

from collections.abc import Iterable


class CrlsoError(Exception):
    """Base of every error that a caller can mend."""


class UnknownNameError(CrlsoError):
    """A space, table, metric, model or column that does not exist; the message lists those that do."""


class SpaceError(CrlsoError):
    """A description of a search space that describes none."""


class ArchitectureError(CrlsoError):
    """A text that does not describe an architecture of the space."""


class TableError(CrlsoError):
    """A table of measurements that cannot be read as one."""


class DataError(CrlsoError):
    """Images that cannot be read as a data set to train on."""


class BundleError(CrlsoError):
    """A saved model that is corrupt, truncated, foreign or already there."""


class ProblemError(CrlsoError):
    """An optimisation or training that cannot be carried out as asked."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Say that a name is not known and which ones are."""
    return UnknownNameError(f"unknown {kind} {name!r}; known: {', '.join(sorted(known)) or 'none'}")
