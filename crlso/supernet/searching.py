"""Searching a flexible space by one supernet: the task that `crlso.supernet.runs` carries out.

Every epoch the method steps through the images and prunes; its architectures are recorded as they stand, with the
accuracy of the supernet at that moment on images held out of training. A record is made at the end of an epoch, after
every so many steps if asked for, and wherever the method says so; an architecture that stands for several epochs has
one, of its last moment. `front` gives the records that no other beats in accuracy and params at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.networks.darts import StackedCells
from crlso.networks.darts_flexible import costs
from crlso.pareto import pareto_front
from crlso.spaces import get_space
from crlso.spaces.darts_flexible import FlexibleDarts, cells_of
from crlso.supernet.data import Batches, Images
from crlso.supernet.devices import check_memory
from crlso.supernet.distributed import World, joined
from crlso.supernet.methods import AnySettings, Setup, make_method
from crlso.supernet.methods.base import Precision
from crlso.supernet.network import FlexibleSupernet, shrink_optimizer
from crlso.supernet.one_shot import inherit, recalibrate
from crlso.supernet.runs import Progress, Row, carry_out, check_free
from crlso.supernet.scoring import SCORED, Score, score

COLLAPSE = 0.5
"""Share of skip connections among an architecture's pairs from which on a search is said to have collapsed."""

_CALIBRATION = 8  # batches from which statistics of an architecture within a mixture are taken


class SearchSettings(BaseModel):
    """What makes a search the search that it is.

    Attributes:
        space: a flexible one, which says how many cells there are.
        dataset: as `load_images` takes it.
        size: side in pixels to which its images are brought; None as there.
        method: and its constants.
        width: channels of the first cells.
        batch: images a step, over all processes.
        accumulate: pieces into which each process cuts its share of a batch.
        epochs: at most.
        held_out: share of the training images on which records are scored.
        record_every: steps after which what stands is recorded, beside ends of epochs; None for never.
        checkpointed: cells that are computed twice to save memory.
        precision: of the network.
        seed: of everything random.
        teacher: SHA-256 of the weights of a teacher that was given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str = "darts-flexible"
    dataset: str = "digits"
    size: PositiveInt | None = None
    method: AnySettings
    width: PositiveInt = 16
    batch: PositiveInt = 64
    accumulate: PositiveInt = 1
    epochs: PositiveInt = 50
    held_out: float = Field(0.2, gt=0, lt=1)
    record_every: PositiveInt | None = None
    checkpointed: tuple[int, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**63)
    teacher: str | None = None


class Searching:
    """A method, its images and its records.

    Attributes:
        records: one for each architecture that stood, in the order of time; plain JSON values.
    """

    def __init__(
        self,
        settings: SearchSettings,
        images: Images,
        device: torch.device,
        *,
        world: World | None = None,
        teacher: StackedCells | None = None,
    ) -> None:
        """Lay out supernet and method.

        Raises:
            ProblemError: the space is no flexible one, or the teacher does not fit.
        """
        self.settings, self.world = settings, world or World()
        space = flexible_space(settings.space)
        self.images = images
        torch.manual_seed(settings.seed)
        supernet = FlexibleSupernet(
            space.operations,
            len(images.classes),
            images.shape,
            width=settings.width,
            cells=space.cells,
            checkpointed=settings.checkpointed,
        ).to(device)
        precision = Precision(settings.precision, device)
        rest, held_out = images.train.split(settings.held_out, settings.seed)
        self.validation = Batches(held_out, SCORED, settings.seed, images.plain(), device)
        some = next(self.validation.epoch(0))[0]
        setup = Setup(space, supernet, precision, settings.epochs)
        self.method = make_method(settings.method, setup, teacher, some)
        parts = rest.halves(settings.seed) if self.method.parts == 2 else (rest,)
        self.batches = [
            Batches(part, settings.batch, settings.seed + number, images.augmentation(), device)
            for number, part in enumerate(parts)
        ]
        self.records: list[Row] = []

    @property
    def finished(self) -> bool:
        """Whether the method has come to its end."""
        return self.method.finished

    def epoch(self, number: int) -> Row:
        """Train, prune and record."""
        self.method.begin_epoch(number)
        self.method.supernet.train()
        losses, steps = torch.zeros((), device=self.batches[0].device), 0
        for batches in zip(*(part.epoch(number) for part in self.batches), strict=False):
            losses += self.method.step(batches, self.world, self.settings.accumulate)
            steps += 1
            plateau, every = self.method.prune(), self.settings.record_every
            if plateau or (every is not None and steps % every == 0):
                self._record(number, plateau=plateau)
            if self.method.finished:
                break
        self.world.average([losses, *self._statistics()])
        self._record(number, plateau=False)
        last = self.records[-1]
        return {
            "loss": float(losses) / steps,
            **{name: last[name] for name in ("accuracy", "params", "flops", "skips")},
            "alive": self._living(),
            **self.method.traced(),
        }

    def state(self) -> dict[str, Any]:
        """Modules, optimisers, the method's own, and the records."""
        return {
            "alive": self.method.supernet.alive,
            "modules": {name: module.state_dict() for name, module in self.method.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.method.optimizers.items()},
            "method": self.method.extra_state(),
            "records": self.records,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Kill what was dead, then take over everything."""
        supernet, changes = self.method.supernet, []
        for cell, alive in enumerate(state["alive"]):
            changes += supernet.kill(cell, [pair for pair, lives in enumerate(alive) if not lives])
        for optimizer in self.method.optimizers.values():
            shrink_optimizer(optimizer, changes)
        for name, module in self.method.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in self.method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.method.load_extra_state(state["method"])
        self.records = state["records"]

    def score(self, arch: Architecture) -> Score:
        """Of an architecture as it stands in the supernet: the supernet itself where nothing else lives.

        Raises:
            ProblemError: it has pairs that are dead.
        """
        supernet, cells = self.method.supernet, cells_of(arch)
        with torch.no_grad():
            weights = self.method.weights().unbind()
        if cells != supernet.kept():
            supernet = inherit(supernet, cells)
            batches = islice(self.batches[0].epoch(0), _CALIBRATION)
            recalibrate(supernet, weights, (x for x, _ in batches))
        mode = supernet.training
        supernet.eval()
        with self.method.setup.precision():
            found = score(lambda x: supernet(x, weights), self.validation)
        supernet.train(mode)
        return found

    def _record(self, epoch: int, *, plateau: bool) -> None:
        """Keep what the method proposes; what was kept last and still stands is scored anew."""
        for arch in self.method.derive():
            accuracy, loss = self.score(arch)
            cost = costs(arch, len(self.images.classes), self.images.shape, width=self.settings.width)
            row = {
                "epoch": epoch,
                "plateau": plateau,
                "architecture": arch.text,
                "accuracy": accuracy,
                "loss": loss,
                "params": cost.params,
                "flops": cost.flops,
                "skips": skips(arch),
            }
            if self.records and self.records[-1]["architecture"] == arch.text:
                row["plateau"] |= self.records.pop()["plateau"]
            self.records.append(row)

    def _living(self) -> dict[str, int]:
        """How many pairs of each operation are alive."""
        supernet = self.method.supernet
        names = [
            triple.operation
            for cell in supernet.alive
            for triple, lives in zip(supernet.triples, cell, strict=True)
            if lives
        ]
        return {name: names.count(name) for name in supernet.operations}

    def _statistics(self) -> list[Tensor]:
        """Running means and variances, which differ between processes."""
        return [buffer for buffer in self.method.supernet.buffers() if buffer.is_floating_point()]


def search(
    settings: SearchSettings,
    images: Images,
    folder: Path,
    device: torch.device,
    *,
    teacher: StackedCells | None = None,
    resume: bool = False,
    overwrite: bool = False,
    announce: Callable[[int, int | None], None] | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Carry out a search in a folder (`crlso.supernet.runs`); its records.

    Args:
        settings: of the search.
        images: of the data set that the settings name.
        folder: of the run.
        device: where to search.
        teacher: a trained network, for methods that distil.
        resume: go on from the folder's checkpoint if there is one.
        overwrite: replace a run that is there.
        announce: told before training how many bytes it takes and how many are free, None where nobody knows.
        progress: told after each epoch.

    Raises:
        ProblemError: the folder may not be used, memory is too small, or the loss is not finite.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    with joined(device) as world:
        task = Searching(settings, images, device, world=world, teacher=teacher)
        piece = -(-settings.batch // (world.size * settings.accumulate))
        memory = check_memory(task.method.supernet, piece, images.shape, moments=2)
        if announce is not None:
            announce(*memory)
        carry_out(
            task,
            folder,
            settings.model_dump(mode="json"),
            settings.epochs,
            world=world,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    return task.records


def flexible_space(name: str) -> FlexibleDarts:
    """The flexible space of a name.

    Raises:
        UnknownNameError: there is no space of that name.
        ProblemError: it is none in which a supernet can be searched.
    """
    space = get_space(name)
    if not isinstance(space, FlexibleDarts):
        raise ProblemError(f"{name} is no flexible space, such as darts-flexible or darts-flexible-dnad@5")
    return space


def front(records: Sequence[Row]) -> list[Row]:
    """The records that no other beats in accuracy and params at once, one an architecture, by rising params."""
    values = np.array([[record["accuracy"], -record["params"]] for record in records], dtype=np.float64)
    best = {
        record["architecture"]: record
        for record, on in zip(records, pareto_front(values.reshape(-1, 2)), strict=True)
        if on
    }
    return sorted(best.values(), key=lambda record: record["params"])


def skips(arch: Architecture) -> float:
    """Share of skip connections among an architecture's pairs."""
    names = [name for cell in cells_of(arch) for node in cell for name, _ in node]
    return names.count("skip_connect") / len(names)
