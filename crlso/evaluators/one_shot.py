"""Evaluation by a supernet: the loss of an architecture with shared weights, on images held out of their training.

Two kinds of folder serve. `crlso.supernet.paths` leaves a supernet of NAS-Bench-201, in which twins have one value,
that of the canonical one. `crlso.supernet.searching` leaves one of a flexible space: an architecture inherits its
weights, and statistics are estimated anew; there only what the search let live has a value, and twins, which stand on
other pairs, may differ.

A value is a guess: how well it orders architectures measures `crlso.evaluators.agreement`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

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
    """Scores architectures by a supernet that a folder holds.

    Attributes:
        name: of the folder.
        space: name of the architectures' space.
        metrics: `LOSS` alone.
        reference: no loss is larger.
        candidates: not listed, since all of the space can be scored.
    """

    metrics = (LOSS,)
    reference = (math.inf,)
    candidates = None

    def __init__(self, folder: Path, *, device: torch.device | str = "cpu") -> None:
        """Load supernet and images.

        Args:
            folder: of `train_paths`, or of a search in a flexible space.
            device: where to score.

        Raises:
            ProblemError: it holds no supernet, or not all that it needs.
            DataError: the images that its settings name are not there.
        """
        self.name, self._folder = folder.name, folder
        self._settings = read_settings(folder)
        self.space, place = str(self._settings.get("space")), torch.device(device)
        self._images = load_images(self._settings.get("dataset", ""), size=self._settings.get("size"))
        load = _of_a_search if "method" in self._settings else _of_paths
        self._score = load(folder, self._images, place)
        self._file = folder / (CHECKPOINT if "method" in self._settings else WEIGHTS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of settings, weights and images."""
        found = hashlib.sha256(json.dumps(self._settings, sort_keys=True).encode())
        found.update(self._file.read_bytes())
        for part in (self._images.train, self._images.test):
            found.update(part.x.numpy().tobytes())
            found.update(part.y.numpy().tobytes())
        return found.hexdigest()

    def score(self, arch: Architecture) -> Score:
        """Accuracy (percent) and loss (nats) with the supernet's weights.

        Raises:
            ProblemError: it is of another space, or some of it died in the search.
        """
        if arch.space != self.space:
            raise ProblemError(f"{self.name} is a supernet of {self.space}, and {arch.text} is of {arch.space}")
        return self._score(arch)

    def evaluate(self, arch: Architecture) -> tuple[float, ...]:
        """The loss.

        Raises:
            ProblemError: as `score` does.
        """
        return (self.score(arch).loss,)


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
