"""The contract of an evaluator: from one architecture to its measurements."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from crlso.architecture import Architecture
from crlso.tables import Metric


@runtime_checkable
class Evaluator(Protocol):
    """Measures architectures of one space, each metric in its own unit and direction."""

    @property
    def name(self) -> str:
        """What people call the source of the values."""

    @property
    def digest(self) -> str:
        """SHA-256 of what the values depend on: equal digests, equal values."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured; the direction is that of the search."""

    @property
    def reference(self) -> tuple[float, ...]:
        """For each metric a value than which no architecture is worse, where hypervolumes begin."""

    def evaluate(self, arch: Architecture) -> tuple[float, ...]:
        """One value for each metric, NaN where the measurement failed.

        Raises:
            ProblemError: the evaluator cannot measure this architecture.
        """
