"""What a searching method is to the trainer: it steps, lets pairs die, and says which architecture stands.

A new method is one module here and a line in `crlso.supernet.methods`. The trainer knows about epochs, validation,
records and checkpoints; the method about losses, parameters and what dies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.spaces.darts_flexible import FlexibleDarts
from crlso.supernet.distributed import World
from crlso.supernet.network import FlexibleSupernet

Batch = tuple[Float[Tensor, "B C H W"], Int64[Tensor, "B"]]
"""Images, augmented and normalised, and their classes."""

MAXIMUM_NORM = 5.0
"""To which gradients are clipped, as in DARTS."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of a piece of a batch."""


class MethodSettings(BaseModel):
    """Of any method."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Precision:
    """In what numbers the network computes: single precision, or narrower ones where torch's autocast allows."""

    def __init__(self, name: Literal["float32", "bfloat16"], device: torch.device) -> None:
        self.name, self.device = name, device

    def __call__(self) -> torch.autocast:
        """The context of a forward pass."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.name == "bfloat16")


@dataclass(frozen=True)
class Setup:
    """What every method is given.

    Attributes:
        space: whose architectures it proposes.
        supernet: all of them at once, fresh.
        precision: of forward passes.
        epochs: how many there will be at most.
    """

    space: FlexibleDarts
    supernet: FlexibleSupernet
    precision: Precision
    epochs: int


class Method(ABC):
    """Parameters of a supernet and of its choice, and how a batch changes them.

    Attributes:
        name: by which the command line knows it.
        parts: how many disjoint parts of the images a step takes a batch of.
        modules: what is learned, by name; its state is kept in checkpoints.
        optimizers: likewise.
    """

    name: ClassVar[str]
    parts: ClassVar[int] = 1

    def __init__(self, setup: Setup) -> None:
        self.setup, self.supernet = setup, setup.supernet
        self.modules: dict[str, nn.Module] = {"supernet": setup.supernet}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def weights(self) -> Float[Tensor, "cells pairs"]:
        """Of all pairs, as the supernet takes them."""

    @abstractmethod
    def step(self, batches: Sequence[Batch], world: World, accumulate: int) -> Tensor:
        """Learn from one batch of each part; nothing waits for the device.

        Returns:
            the task's loss, detached.
        """

    def prune(self) -> bool:
        """Let die what should; whether the architecture that stands is one to record."""
        return False

    def begin_epoch(self, number: int) -> None:  # noqa: B027 - a method may have no schedule
        """Be told which epoch begins, from 0."""

    @property
    def finished(self) -> bool:
        """Whether the search has come to its own end."""
        return False

    @abstractmethod
    def derive(self) -> list[Architecture]:
        """What the search proposes as it stands."""

    def traced(self) -> dict[str, float]:
        """Figures for the trace."""
        return {}

    def extra_state(self) -> dict[str, Any]:
        """What modules and optimisers do not hold."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:  # noqa: B027 - a method may have none
        """Take over what `extra_state` gave."""


def backward(
    parameters: Sequence[nn.Parameter], pieces: Sequence[tuple[Tensor, ...]], loss: Loss, world: World
) -> Tensor:
    """Gradients of the mean loss over all pieces of all processes, of some parameters and of no others.

    Args:
        parameters: what has new gradients afterwards; those from before are gone.
        pieces: this process's.
        loss: of a piece.
        world: the processes.

    Returns:
        the mean loss over this process's pieces, detached.
    """
    for parameter in parameters:
        parameter.grad = None
    total = torch.zeros((), device=parameters[0].device)
    for x, y in pieces:
        value = loss(x, y) / len(pieces)
        value.backward(inputs=list(parameters))
        total += value.detach()
    world.average(parameter.grad for parameter in parameters if parameter.grad is not None)
    return total


def cross_entropy(logits: Float[Tensor, "B K"], y: Int64[Tensor, "B"], smoothing: float = 0.0) -> Float[Tensor, ""]:
    """In single precision whatever the logits are."""
    return F.cross_entropy(logits.float(), y, label_smoothing=smoothing)
