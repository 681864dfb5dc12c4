"""Evaluation by a supernet: the loss of an architecture with shared weights, on images held out of their training.

Two kinds of folder serve. `crlso.supernet.paths` leaves a supernet of NAS-Bench-201, in which twins have one value,
that of the canonical one. `crlso.supernet.searching` leaves one of a flexible space: an architecture inherits its
weights, and statistics are estimated anew; there only what the search let live has a value, and twins, which stand on
other pairs, may differ.

Supernets of one space can score together, as a shallow and a deep one of NAS-Bench-201, which know different things
(docs/results/supernet_rank.md). A value is a guess: how well it orders architectures measures
`crlso.evaluators.agreement`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from statistics import fmean

import torch
from pydantic import ValidationError

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.spaces import get_space
from crlso.supernet.checkpoint import load_state
from crlso.supernet.data import Images
from crlso.supernet.methods.dnad import DnadSettings
from crlso.supernet.paths import PathScorer
from crlso.supernet.runs import CHECKPOINT, read_settings
from crlso.supernet.scoring import Score
from crlso.supernet.searching import Searching, SearchSettings
from crlso.supernet.sources import load_images
from crlso.supernet.standalone import WEIGHTS
from crlso.supernet.teachers import FOLDER, load_teacher
from crlso.tables import Metric

LOSS = Metric("one_shot_loss", "min", unit="nats", source="a supernet's weights")
"""Mean cross-entropy: finer than the accuracy, of which whole groups of architectures have the same."""


class OneShotEvaluator:
    """Scores architectures by a supernet that a folder holds, or by several together.

    Attributes:
        name: of the folders.
        space: name of the architectures' space.
        metrics: `LOSS` alone.
        reference: no loss is larger.
        candidates: not listed, since all of the space can be scored.
    """

    metrics = (LOSS,)
    reference = (math.inf,)
    candidates = None

    def __init__(self, *folders: Path, device: torch.device | str = "cpu") -> None:
        """Load supernets and images.

        Args:
            folders: of `train_paths`, or of searches in a flexible space; at least one.
            device: where to score.

        Raises:
            ProblemError: one holds no supernet, or not all that it needs, or they are of different spaces.
            DataError: the images that their settings name are not there.
        """
        self.name = "+".join(folder.name for folder in folders)
        self._members = tuple(_Member(folder, torch.device(device)) for folder in folders)
        spaces = {member.space: folder for member, folder in zip(self._members, folders, strict=True)}
        if len(spaces) > 1:
            said = ", ".join(f"{folder} of {space}" for space, folder in spaces.items())
            raise ProblemError(f"supernets of one space can score together; these are {said}")
        (self.space,) = spaces

    @cached_property
    def digest(self) -> str:
        """SHA-256 of settings, weights and images."""
        return hashlib.sha256(b"".join(member.digest() for member in self._members)).hexdigest()

    def score(self, arch: Architecture) -> Score:
        """Accuracy (percent) and loss (nats) with the supernets' weights.

        Of several supernets it is the mean accuracy and the geometric mean of the losses, since a deep supernet has
        larger ones throughout.

        Raises:
            ProblemError: it is of another space, or some of it died in the search.
        """
        if arch.space != self.space:
            raise ProblemError(f"{self.name} is a supernet of {self.space}, and {arch.text} is of {arch.space}")
        accuracies, losses = zip(*(member.score(arch) for member in self._members), strict=True)
        return Score(fmean(accuracies), math.prod(losses) ** (1 / len(losses)))

    def evaluate(self, arch: Architecture) -> tuple[float, ...]:
        """The loss.

        Raises:
            ProblemError: as `score` does.
        """
        return (self.score(arch).loss,)


class _Member:
    """One of the supernets."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._settings = read_settings(folder)
        self.space = str(self._settings.get("space"))
        self._images = load_images(self._settings.get("dataset", ""), size=self._settings.get("size"))
        searched = "method" in self._settings
        self.score = (_of_a_search if searched else _of_paths)(folder, self._images, device)
        self._file = folder / (CHECKPOINT if searched else WEIGHTS)

    def digest(self) -> bytes:
        """SHA-256 of all that a score depends on."""
        found = hashlib.sha256(json.dumps(self._settings, sort_keys=True).encode())
        found.update(self._file.read_bytes())
        for part in (self._images.train, self._images.test):
            found.update(part.x.numpy().tobytes())
            found.update(part.y.numpy().tobytes())
        return found.digest()


def _of_paths(folder: Path, images: Images, device: torch.device) -> Callable[[Architecture], Score]:
    scorer = PathScorer(folder, images, device)
    space = get_space(scorer.settings.space)
    return lambda arch: scorer.score(space.choices(space.canonical(arch)))


def _of_a_search(folder: Path, images: Images, device: torch.device) -> Callable[[Architecture], Score]:
    try:
        settings, teacher = SearchSettings.model_validate(read_settings(folder)), None
        if isinstance(settings.method, DnadSettings):  # whose features have the shape of the teacher's
            teacher, _ = load_teacher(folder / FOLDER, images, device)
        task = Searching(settings, images, device, teacher=teacher)
        task.load(load_state(folder / CHECKPOINT)["task"])
    except (ValidationError, KeyError, TypeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ProblemError(f"{folder} holds no search in a supernet of such images: {reason}") from error
    return task.score
