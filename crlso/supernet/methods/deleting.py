"""Searching by deleting: one level of optimisation, a penalty on what is kept, and pairs that die for good.

    L_all = L (1 + γ S) + γ μ S,                                                                                  (1)

with L the task's loss and S a measure of how much the architecture weights keep, which γ and μ weigh as constants
(`crlso.supernet.methods.controller`). Weights and architecture parameters step on the same batch of training images,
their gradients clipped apart; then every pair whose weight is below the baseline dies. `snps`, `dnad` and `fx-darts`
say what L and S are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.supernet.choice import Choice, Form
from crlso.supernet.distributed import World
from crlso.supernet.methods.base import (
    MAXIMUM_NORM,
    Batch,
    Method,
    MethodSettings,
    Setup,
    backward,
    cross_entropy,
)
from crlso.supernet.methods.controller import Controller, ControllerSettings
from crlso.supernet.network import shrink_optimizer


class DeletingSettings(MethodSettings):
    """Constants of DNAD's released code for CIFAR.

    Attributes:
        learning_rate: of the weights, by Adam with momenta 0.5 and 0.999, constant.
        weight_decay: of the weights.
        choice_learning_rate: of the architecture parameters, by plain gradient descent.
        baseline: b, the weight below which a pair dies.
        start: of all architecture parameters.
        warmup: epochs in which nothing dies and the penalty is left out.
        look: steps between looks at the weights, each of which waits for the device.
        enough: penalty, a node, at which the search ends.
        controller: of γ and μ.
    """

    learning_rate: PositiveFloat = 5e-4
    weight_decay: NonNegativeFloat = 3e-4
    choice_learning_rate: PositiveFloat = 0.2
    baseline: float = Field(0.01, gt=0, lt=0.5)
    start: float = 2.0
    warmup: int = Field(0, ge=0)
    look: PositiveInt = 1
    enough: PositiveFloat
    controller: ControllerSettings = ControllerSettings()


class Deleting(Method):
    """The module's header; subclasses give the penalty, and the task's loss where it is not cross-entropy."""

    form: ClassVar[Form] = "relu"

    def __init__(self, settings: DeletingSettings, setup: Setup, learners: Sequence[nn.Module] = ()) -> None:
        """Let all pairs be alive and equal.

        Args:
            settings: constants.
            setup: what is searched in.
            learners: modules that learn with the supernet, if any.

        Raises:
            ProblemError: all pairs of a node could die at once.
        """
        super().__init__(setup)
        supernet = setup.supernet
        most = max(Counter(triple.node for triple in supernet.triples).values())
        if settings.baseline * most >= 1:
            raise ProblemError(
                f"a baseline of {settings.baseline:g} lets all {most} pairs of a node die at once where their weights "
                f"are equal: take one below {1 / most:.3g}"
            )
        choice = Choice(supernet.triples, len(supernet.cells), self.form, settings.start)
        self.choice = choice.to(next(supernet.parameters()).device)
        self.modules["choice"] = self.choice
        self.settings = settings
        self.controller = Controller(settings.controller)
        self.steps, self.shrinking, self.over = 0, settings.warmup == 0, False
        self.optimizers = {
            "weights": torch.optim.Adam(
                [parameter for module in (supernet, *learners) for parameter in module.parameters()],
                settings.learning_rate,
                (0.5, 0.999),
                weight_decay=settings.weight_decay,
                fused=True,
            ),
            "choice": torch.optim.SGD([choice.alpha], settings.choice_learning_rate),
        }

    def weights(self) -> Float[Tensor, "cells pairs"]:
        """The choice's."""
        found: Tensor = self.choice()
        return found

    def penalty(self, w: Float[Tensor, "cells pairs"]) -> Float[Tensor, ""]:
        """S."""
        raise NotImplementedError

    def task_loss(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """L of a piece of a batch."""
        with self.setup.precision():
            logits = self.supernet(x, w.unbind())
        return cross_entropy(logits, y)

    def step(self, batches: Sequence[Batch], world: World, accumulate: int) -> Tensor:
        """Equation (1)."""
        task = list[Tensor]()
        gamma, mu = (self.controller.gamma, self.controller.mu) if self.shrinking else (0.0, 0.0)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            w = self.weights()
            value, penalty = self.task_loss(x, y, w), self.penalty(w)
            task.append(value.detach())
            return value * (1 + gamma * penalty) + gamma * mu * penalty

        weights = self.optimizers["weights"].param_groups[0]["params"]
        backward([*weights, self.choice.alpha], world.pieces(batches[0], accumulate), loss, world)
        nn.utils.clip_grad_norm_(weights, MAXIMUM_NORM)
        nn.utils.clip_grad_norm_([self.choice.alpha], MAXIMUM_NORM)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.steps += 1
        return torch.stack(task).mean()

    def begin_epoch(self, number: int) -> None:
        """Begin to shrink after the warm-up."""
        self.shrinking = number >= self.settings.warmup

    def prune(self) -> bool:
        """Let pairs below the baseline die, and the controller know how many they were."""
        if not self.shrinking or self.steps % self.settings.look:
            return False
        with torch.no_grad():
            dead = (self.weights() < self.settings.baseline) & self.choice.alive
        rows = dead.nonzero().tolist()
        changes = []
        for cell in sorted({cell for cell, _ in rows}):
            changes += self.supernet.kill(cell, [pair for owner, pair in rows if owner == cell])
        if rows:
            shrink_optimizer(self.optimizers["weights"], changes)
            self.choice.bury(dead)
        nodes = len(self.supernet.cells) * len({triple.node for triple in self.supernet.triples})
        self.over = self._measured() < self.settings.enough * nodes
        return self.controller.update(len(rows))

    @property
    def finished(self) -> bool:
        """Whether the penalty had come down to what is enough at the last look."""
        return self.over

    def derive(self) -> list[Architecture]:
        """All pairs that are alive."""
        return [self.setup.space.from_cells(self.supernet.kept())]

    def traced(self) -> dict[str, float]:
        """The penalty, and where the controller is."""
        return {"penalty": self._measured(), "gamma": self.controller.gamma, "mu": self.controller.mu}

    def extra_state(self) -> dict[str, Any]:
        """Of the controller."""
        return {"controller": self.controller.state(), "steps": self.steps, "over": self.over}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what `extra_state` gave."""
        self.controller.load(state["controller"])
        self.steps, self.over = state["steps"], state["over"]

    @torch.no_grad()
    def _measured(self) -> float:
        return float(self.penalty(self.weights()))
