"""Training one architecture from scratch by the protocol of DARTS [Liu2019]_: what its accuracy is in the end.

Gradient descent with momentum and a cosine to zero, gradients clipped, crops, mirror images and cutout, paths dropped
with a probability that rises linearly, and an auxiliary classifier whose loss counts 0.4. The paper trains 600 epochs
at a batch of 96; how long a network here is trained says its settings.

No image that is scored on is looked at before the end, unless `patience` asks for an early stop: then a share of the
training images is held out for it, and the state with the best score on these is kept.

Deviation: cutout blanks half of an image's side, which is the paper's 16 pixels for CIFAR, and fits other sizes.

.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.networks import Costs, build, costs, darts, darts_flexible
from crlso.networks.darts import StackedCells
from crlso.networks.export import export
from crlso.spaces import family_of, get_space
from crlso.spaces.darts_flexible import FAMILIES
from crlso.supernet.data import Batches, Images
from crlso.supernet.distributed import World, joined
from crlso.supernet.hasten import hasten
from crlso.supernet.methods.base import MAXIMUM_NORM, Precision, backward, cross_entropy
from crlso.supernet.runs import Progress, Row, carry_out, check_free, read_settings, write_json
from crlso.supernet.scoring import SCORED, Score, score

WEIGHTS, RESULT = "network.safetensors", "result.json"


class TrainingSettings(BaseModel):
    """What makes a training the training that it is.

    Attributes:
        space: of the architecture.
        arch: in the space's own notation.
        dataset: as `load_images` takes it.
        size: side in pixels to which its images are brought; None as there.
        width: channels of the first cells, of flexible spaces.
        batch: images a step, over all processes.
        accumulate: pieces into which each process cuts its share of a batch.
        epochs: at most.
        learning_rate: at the beginning.
        momentum: of gradient descent.
        weight_decay: of all weights.
        cutout: side of the blanked square over that of the image.
        drop_path: probability at the end.
        auxiliary: weight of the auxiliary classifier's loss; 0 for none.
        smoothing: of labels.
        patience: epochs without a better score before training stops; None for never.
        held_out: share of the training images for that score.
        compiled: whether torch.compile is to make the network faster.
        precision: of the network.
        seed: of everything random.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    space: str
    arch: str
    dataset: str = "digits"
    size: PositiveInt | None = None
    width: PositiveInt = darts.WIDTH
    batch: PositiveInt = 96
    accumulate: PositiveInt = 1
    epochs: PositiveInt = 600
    learning_rate: PositiveFloat = 0.025
    momentum: NonNegativeFloat = 0.9
    weight_decay: NonNegativeFloat = 3e-4
    cutout: float = Field(0.5, ge=0, le=1)
    drop_path: float = Field(0.2, ge=0, lt=1)
    auxiliary: NonNegativeFloat = 0.4
    smoothing: float = Field(0.0, ge=0, lt=1)
    patience: PositiveInt | None = None
    held_out: float = Field(0.1, gt=0, lt=1)
    compiled: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**63)


class Training:
    """An architecture's network, its optimiser and its images.

    Attributes:
        network: what learns.
    """

    def __init__(
        self, settings: TrainingSettings, images: Images, device: torch.device, *, world: World | None = None
    ) -> None:
        """Build the network.

        Raises:
            ArchitectureError: the text describes none of the space.
            UnknownNameError: no network is known for it.
        """
        self.settings, self.world = settings, world or World()
        torch.manual_seed(settings.seed)
        arch = get_space(settings.space).parse(settings.arch)
        network = build_network(arch, images, settings.width, auxiliary=settings.auxiliary > 0)
        self.network: nn.Module = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if device.type == "cpu":
            hasten(self.network)
        self._called = torch.compile(self.network) if settings.compiled else self.network
        self.precision = Precision(settings.precision, device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay
        )
        rest, self.scored = images.train, None
        if settings.patience is not None:
            rest, held_out = images.train.split(settings.held_out, settings.seed)
            self.scored = Batches(held_out, SCORED, settings.seed, images.plain(), device)
        augmentation = images.augmentation(round(settings.cutout * images.shape[1]))
        self.batches = Batches(rest, settings.batch, settings.seed, augmentation, device)
        self.test = Batches(images.test, SCORED, settings.seed, images.plain(), device)
        self.best: tuple[float, int, dict[str, Tensor]] | None = None  # accuracy, epoch, weights
        self.epochs = 0

    @property
    def finished(self) -> bool:
        """Whether patience has come to an end."""
        patience = self.settings.patience
        return patience is not None and self.best is not None and self.epochs - self.best[1] > patience

    def epoch(self, number: int) -> Row:
        """Go through the images once."""
        settings, parameters = self.settings, list(self.network.parameters())
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * (1 + math.cos(math.pi * number / settings.epochs)) / 2
        if isinstance(self.network, StackedCells):
            self.network.drop_path = settings.drop_path * number / settings.epochs
        self.network.train()
        losses = torch.zeros((), device=self.batches.device)
        for batch in self.batches.epoch(number):
            losses += backward(parameters, self.world.pieces(batch, settings.accumulate), self._loss, self.world)
            nn.utils.clip_grad_norm_(parameters, MAXIMUM_NORM)
            self.optimizer.step()
        statistics = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]
        self.world.average([losses, *statistics])
        self.epochs = number + 1
        row: Row = {"loss": float(losses) / len(self.batches)}
        if self.scored is not None:
            row["accuracy"] = self.score(self.scored).accuracy
            if self.best is None or row["accuracy"] > self.best[0]:
                self.best = (row["accuracy"], number, deepcopy(self.network.state_dict()))
        return row

    def outcome(self) -> Score:
        """How the network, in its best state where training stopped early, does on the test images."""
        if self.best is not None:
            self.network.load_state_dict(self.best[2])
        return self.score(self.test)

    def score(self, batches: Batches) -> Score:
        """How the network does as it is."""
        self.network.eval()
        with self.precision():
            return score(self._logits, batches)

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        with self.precision():
            logits = self._logits(x)
        if isinstance(logits, Tensor):
            return cross_entropy(logits, y, self.settings.smoothing)
        first, second = (cross_entropy(part, y, self.settings.smoothing) for part in logits)
        return first + self.settings.auxiliary * second

    def _logits(self, x: Tensor) -> Any:
        """In training mode also the auxiliary classifier's, if there is one."""
        return self._called(x.contiguous(memory_format=torch.channels_last))

    def state(self) -> dict[str, Any]:
        """Network, optimiser and the best state so far."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": None if self.best is None else list(self.best),
            "epochs": self.epochs,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        best, self.epochs = state["best"], state["epochs"]
        self.best = None if best is None else (best[0], best[1], best[2])


def build_network(arch: Architecture, images: Images, width: int, *, auxiliary: bool) -> nn.Module:
    """A fresh network for some images.

    Args:
        arch: what to build.
        images: whose classes and shape count.
        width: channels of the first cells, of flexible spaces; others have their own.
        auxiliary: whether there is an auxiliary classifier, in flexible spaces.
    """
    if family_of(arch.space) in FAMILIES:
        return darts_flexible.build(arch, len(images.classes), images.shape, width=width, auxiliary=auxiliary)
    return build(arch, len(images.classes), images.shape)


def train(
    settings: TrainingSettings,
    images: Images,
    folder: Path,
    device: torch.device,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Row:
    """Train an architecture in a folder, and leave there its weights and how it did.

    Args:
        settings: of the training.
        images: of the data set that the settings name.
        folder: of the run (`crlso.supernet.runs`); gets network.safetensors and result.json.
        device: where to train.
        resume: go on from the folder's checkpoint if there is one.
        overwrite: replace a run that is there.
        progress: told after each epoch.

    Returns:
        accuracy (percent) and loss on the test images, params, flops, epochs; what result.json says.

    Raises:
        ProblemError: the folder may not be used, or the loss is not finite.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    with joined(device) as world:
        task = Training(settings, images, device, world=world)
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
        found = task.outcome()
        cost = count_costs(get_space(settings.space).parse(settings.arch), images, settings.width)
        result = {**found._asdict(), "params": cost.params, "flops": cost.flops, "epochs": len(trace)}
        if world.rank == 0:
            keep(folder, task.network, result)
        world.wait()
    return result


def keep(folder: Path, network: nn.Module, result: Row) -> None:
    """Leave the weights of what was trained, and how it did, in the folder of its run."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    write_json(folder / RESULT, result)


def load_network(folder: Path, images: Images) -> nn.Module:
    """The network that `train` left in a folder, in evaluation mode.

    Raises:
        ProblemError: there is none, or it is not for such images.
    """
    try:
        settings = TrainingSettings.model_validate(read_settings(folder))
        arch = get_space(settings.space).parse(settings.arch)
        network = build_network(arch, images, settings.width, auxiliary=settings.auxiliary > 0)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (ValidationError, SafetensorError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ProblemError(f"{folder} holds no network trained on images of this shape: {reason}") from error
    return network.eval()


def export_network(folder: Path, images: Images, format: str) -> Path:
    """Write the network that `train` left in a folder as `crlso.networks.export` does, beside it.

    Raises:
        UnknownNameError: there is no such format.
        ProblemError: packages are missing, or the file would compute something else.
    """
    settings = TrainingSettings.model_validate(read_settings(folder))
    arch, network = get_space(settings.space).parse(settings.arch), load_network(folder, images)
    path = folder / f"network.{'pt2' if format == 'torch' else format}"
    return export(arch, path, format, num_classes=len(images.classes), input_shape=images.shape, network=network)


def count_costs(arch: Architecture, images: Images, width: int) -> Costs:
    """Exact costs of the network of `build_network`."""
    if family_of(arch.space) in FAMILIES:
        return darts_flexible.costs(arch, len(images.classes), images.shape, width=width)
    return costs(arch, len(images.classes), images.shape)
