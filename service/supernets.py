"""The directory of supernets, which score what is proposed with their own weights: one training or search a folder."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Protocol

from crlso.architecture import Architecture
from crlso.evaluators.one_shot import OneShotEvaluator
from crlso.exceptions import BundleError, CrlsoError, ProblemError
from crlso.supernet.scoring import Score
from service.folders import Folders

PREFIX = "supernet:"
"""Of an evaluator's name, as on the command line."""


class Scorer(Protocol):
    """What a folder of the directory holds."""

    @property
    def name(self) -> str:
        """Of the folder."""

    @property
    def space(self) -> str:
        """Name of the space whose architectures have a score."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that a score depends on."""

    def score(self, arch: Architecture) -> Score:
        """Accuracy and loss; ProblemError where there are no weights for the architecture."""


class OneAtATime(OneShotEvaluator):
    """A supernet that threads share: a score sets and reads the statistics of its layers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._turn = Lock()

    def score(self, arch: Architecture) -> Score:
        with self._turn:
            return super().score(arch)


def load_supernet(folder: Path) -> Scorer:
    """The supernet of a folder.

    Raises:
        BundleError: it holds none, or its images are not there.
    """
    try:
        return OneAtATime(folder)
    except CrlsoError as error:
        raise BundleError(str(error)) from error


class Supernets(Folders[Scorer]):
    """Supernets by name."""

    kind = "supernet"

    def resolve(self, evaluator: str, space: str) -> Scorer:
        """The supernet that a request means.

        Args:
            evaluator: `supernet:NAME`.
            space: of the architectures to score.

        Raises:
            UnknownNameError: there is none of that name.
            ProblemError: it is one of another space.
            BundleError: it is broken.
        """
        found = self.get(evaluator.removeprefix(PREFIX))
        if found.space != space:
            raise ProblemError(
                f"{evaluator} scores architectures of {found.space!r}, not of {space!r}: change one of them"
            )
        return found
