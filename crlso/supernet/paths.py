"""Training the supernet of NAS-Bench-201 by single paths [Guo2020]_: the task that `crlso.supernet.runs` carries out.

Every step draws the operation of each edge by itself, with the chances c of the settings,

    P(codes) = Π_e c(codes_e) / Σ_o c(o),                                                                         (1)

and one batch teaches the weights that this cell has; all others stay as they are. The rate rises linearly in the first
steps and falls by a cosine to zero. The paths of an epoch are a function of (seed, number), as its batches are.

Deviation: the paper draws all operations alike, as equal chances do. With convolutions drawn more often scores order
cells better; two explanations, and what that is worth beside counting weights, are in docs/results/supernet_rank.md.

.. [Guo2020] Z. Guo et al. Single Path One-Shot Neural Architecture Search with Uniform Sampling. ECCV 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from crlso.exceptions import ProblemError
from crlso.networks.nasbench201 import CELLS, WIDTH
from crlso.spaces.nasbench201 import EDGES, OPERATIONS
from crlso.supernet.data import Batches, Images
from crlso.supernet.distributed import World, joined
from crlso.supernet.methods.base import Precision, backward, cross_entropy
from crlso.supernet.nasbench201 import NasBench201Supernet
from crlso.supernet.runs import Progress, Row, carry_out, check_free, read_settings
from crlso.supernet.scoring import Score, score
from crlso.supernet.standalone import WEIGHTS, keep

_SCORED = 500  # images a batch where nothing is learned: cells are normalised by its statistics
_PATHS = 1  # seeds the draws of paths apart from those of images


def _some(chances: tuple[float, ...]) -> tuple[float, ...]:
    if not sum(chances):
        raise ValueError("at least one operation needs a chance above 0")
    return chances


class PathSettings(BaseModel):
    """What makes a training by single paths the training that it is.

    Attributes:
        space: of the cells.
        dataset: as `load_images` takes it.
        size: side in pixels to which its images are brought; None as there.
        width: channels of the first stage.
        cells: copies of the cell a stage.
        stem_stride: by how much the stem makes images smaller.
        batch: images a step, over all processes.
        epochs: how many.
        learning_rate: at its highest.
        warmup: share of the steps in which it rises.
        momentum: Nesterov's, of gradient descent.
        weight_decay: of the weights that learn in a step.
        chances: of the operations on an edge, in the order of `OPERATIONS`, up to a common factor.
        held_out: share of the training images on which cells are scored.
        precision: of the network.
        seed: of everything random.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    space: Literal["nasbench201"] = "nasbench201"
    dataset: str = "digits"
    size: PositiveInt | None = None
    width: PositiveInt = WIDTH
    cells: PositiveInt = CELLS
    stem_stride: PositiveInt = 1
    batch: int = Field(256, ge=2)
    epochs: PositiveInt = 200
    learning_rate: PositiveFloat = 0.1
    warmup: float = Field(0.1, ge=0, lt=1)
    momentum: float = Field(0.9, gt=0, lt=1)
    weight_decay: NonNegativeFloat = 5e-4
    chances: Annotated[
        tuple[NonNegativeFloat, ...],
        Field(min_length=len(OPERATIONS), max_length=len(OPERATIONS)),
        AfterValidator(_some),
    ] = (1.0,) * len(OPERATIONS)
    held_out: float = Field(0.2, gt=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**63)


class PathTraining:
    """A supernet, its optimiser and its images.

    Attributes:
        network: what learns.
    """

    finished = False

    def __init__(
        self, settings: PathSettings, images: Images, device: torch.device, *, world: World | None = None
    ) -> None:
        """Lay out the supernet."""
        self.settings, self.world = settings, world or World()
        torch.manual_seed(settings.seed)
        self.network = build_supernet(settings, images).to(device)
        self.precision = Precision(settings.precision, device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            settings.learning_rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=True,
        )
        rest, _ = images.train.split(settings.held_out, settings.seed)
        self.batches = Batches(rest, settings.batch, settings.seed, images.augmentation(), device)

    def epoch(self, number: int) -> Row:
        """Go through the images once, each batch on a path of its own."""
        steps, parameters = len(self.batches), list(self.network.parameters())
        losses = torch.zeros((), device=self.batches.device)
        paths = draw_paths(self.settings, steps, number)
        for step, (batch, codes) in enumerate(zip(self.batches.epoch(number), paths.tolist(), strict=True)):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.settings, (number * steps + step) / (self.settings.epochs * steps))
            losses += backward(parameters, self.world.pieces(batch), partial(self._loss, codes), self.world)
            self.optimizer.step()
        self.world.average([losses])
        return {"loss": float(losses) / steps}

    def _loss(self, codes: Sequence[int], x: Tensor, y: Tensor) -> Tensor:
        with self.precision():
            return cross_entropy(self.network(x, codes), y)

    def state(self) -> dict[str, Any]:
        """Network and optimiser."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


class PathScorer:
    """What `train_paths` left in a folder, and the images on which it scores cells: those held out of training.

    Attributes:
        settings: of the training.
        network: the supernet.
    """

    def __init__(self, folder: Path, images: Images, device: torch.device) -> None:
        """Load it.

        Args:
            folder: of the training.
            images: of the data set that its settings name.
            device: where to score.

        Raises:
            ProblemError: it holds no such supernet, or none for such images.
        """
        try:
            self.settings = PathSettings.model_validate(read_settings(folder))
            self.network = build_supernet(self.settings, images)
            self.network.load_state_dict(load_file(folder / WEIGHTS))
        except (ValidationError, SafetensorError, OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ProblemError(f"{folder} holds no supernet trained by paths on such images: {reason}") from error
        self.network.to(device)
        self._precision = Precision(self.settings.precision, device)
        _, held_out = images.train.split(self.settings.held_out, self.settings.seed)
        self._batches = Batches(held_out, _SCORED, self.settings.seed, images.plain(), device)

    def score(self, codes: Sequence[int]) -> Score:
        """How a cell does with the shared weights; batches are mixed, since their statistics normalise."""
        with self._precision():
            return score(lambda x: self.network(x, codes), self._batches)


def train_paths(
    settings: PathSettings,
    images: Images,
    folder: Path,
    device: torch.device,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Row:
    """Train a supernet in a folder, and leave there its weights and how it went.

    Args:
        settings: of the training.
        images: of the data set that the settings name.
        folder: of the run (`crlso.supernet.runs`); gets network.safetensors and result.json.
        device: where to train.
        resume: go on from the folder's checkpoint if there is one.
        overwrite: replace a run that is there.
        progress: told after each epoch.

    Returns:
        loss of the last epoch (nats, over its paths), params of all paths together, epochs; what result.json says.

    Raises:
        ProblemError: the folder may not be used, or the loss is not finite.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    with joined(device) as world:
        task = PathTraining(settings, images, device, world=world)
        trace = carry_out(
            task,
            folder,
            settings.model_dump(mode="json"),
            settings.epochs,
            world=world,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
        params = sum(parameter.numel() for parameter in task.network.parameters())
        result: Row = {"loss": trace[-1]["loss"], "params": params, "epochs": len(trace)}
        if world.rank == 0:
            keep(folder, task.network, result)
        world.wait()
    return result


def build_supernet(settings: PathSettings, images: Images) -> NasBench201Supernet:
    """A fresh supernet for some images, in the memory order in which CPUs convolve fastest."""
    network = NasBench201Supernet(
        len(images.classes),
        images.shape,
        width=settings.width,
        cells=settings.cells,
        stem_stride=settings.stem_stride,
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def draw_paths(settings: PathSettings, steps: int, number: int) -> Int[np.ndarray, "S 6"]:
    """Equation (1): codes of the operations of an epoch's paths, a row a step."""
    chances = np.array(settings.chances)
    rng = np.random.default_rng((settings.seed, number, _PATHS))
    return rng.choice(len(OPERATIONS), size=(steps, len(EDGES)), p=chances / chances.sum())


def learning_rate(settings: PathSettings, share: float) -> float:
    """The rate when that share of all steps is done."""
    if share < settings.warmup:
        return settings.learning_rate * share / settings.warmup
    left = (share - settings.warmup) / (1 - settings.warmup)
    return settings.learning_rate * (1 + math.cos(math.pi * left)) / 2
