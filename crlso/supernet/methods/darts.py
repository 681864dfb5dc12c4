"""DARTS: differentiable architecture search on two levels [Liu2019]_.

All normal cells share one topology and all reduction cells another. An edge (j, i) of a cell mixes its operations by
softmax, the absent one (`none`) among them; weights w learn from one half of the images, the architecture parameters
α from the other:

    α ← α − ∇_α L_val(w − ξ ∇_w L_train(w, α), α),                                                                 (1)

with ξ = 0 in the first order. In the second order ξ is the learning rate of w, momentum and decay included, and the
product with the Hessian is a difference of two gradients,

    ∇²_{α,w} L_train · v ≈ (∇_α L_train(w + ε v) − ∇_α L_train(w − ε v)) / 2ε,    ε = 0.01 / |v|.                  (2)

Nothing dies. The architecture that stands keeps two inputs a node, those whose strongest operation is strongest, and
of each that operation; one is recorded every epoch.

Deviations: passes for (1) and (2) leave running statistics alone; the learning rate falls once an epoch to a twenty-
fifth of where it began, as in the released code, however many epochs there are.

.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.spaces.darts import NODES
from crlso.supernet.cell import Cell, untracked
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

_FLOOR = 1 / 25  # of the learning rate
_STEP = 0.01  # ε |v|
_KEPT = 2  # inputs of a node


class DartsSettings(MethodSettings):
    """The paper's constants.

    Attributes:
        order: of the gradient of α.
        learning_rate: of the weights, by gradient descent with momentum, falling along a cosine.
        momentum: likewise.
        weight_decay: likewise.
        choice_learning_rate: of α, by Adam with momenta 0.5 and 0.999.
        choice_weight_decay: of α.
    """

    name: Literal["darts"] = "darts"
    order: Literal[1, 2] = 1
    learning_rate: PositiveFloat = 0.025
    momentum: NonNegativeFloat = 0.9
    weight_decay: NonNegativeFloat = 3e-4
    choice_learning_rate: PositiveFloat = 3e-4
    choice_weight_decay: NonNegativeFloat = 1e-3


class _Edges(nn.Module):
    """α: for normal and for reduction cells a row an edge, a column an operation and one for `none`."""

    def __init__(self, edges: int, operations: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(1e-3 * torch.randn(2, edges, operations + 1))

    def forward(self) -> Float[Tensor, "2 edges operations"]:
        return self.alpha.softmax(dim=-1)[..., :-1]


class Darts(Method):
    """The module's header."""

    name = "darts"
    parts = 2

    def __init__(self, settings: DartsSettings, setup: Setup) -> None:
        super().__init__(setup)
        self.settings = settings
        like, count = next(self.supernet.parameters()), len(self.supernet.operations)
        self.edges = _Edges(len(self.supernet.triples) // count, count).to(like.device)
        reducing = [bool(cell.reduces) for cell in self.supernet.cells]
        self.kinds = torch.tensor(reducing, dtype=torch.long, device=like.device)
        self.modules["edges"] = self.edges
        self.optimizers = {
            "weights": torch.optim.SGD(
                self.supernet.parameters(),
                settings.learning_rate,
                settings.momentum,
                weight_decay=settings.weight_decay,
            ),
            "choice": torch.optim.Adam(
                self.edges.parameters(),
                settings.choice_learning_rate,
                (0.5, 0.999),
                weight_decay=settings.choice_weight_decay,
            ),
        }

    def begin_epoch(self, number: int) -> None:
        """Let the learning rate of the weights fall."""
        cosine = (1 + math.cos(math.pi * number / self.setup.epochs)) / 2
        for group in self.optimizers["weights"].param_groups:
            group["lr"] = self.settings.learning_rate * (_FLOOR + (1 - _FLOOR) * cosine)

    def weights(self) -> Float[Tensor, "cells pairs"]:
        """Those of its kind for each cell."""
        found: Tensor = self.edges().flatten(1)[self.kinds]
        return found

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Of a piece of a batch."""
        with self.setup.precision():
            logits = self.supernet(x, self.weights().unbind())
        return cross_entropy(logits, y)

    def step(self, batches: Sequence[Batch], world: World, accumulate: int) -> Tensor:
        """A step of α on the second part's batch, then one of the weights on the first's."""
        train, validation = (world.pieces(batch, accumulate) for batch in batches)
        w, alpha = list(self.supernet.parameters()), self.edges.alpha

        def gradients(parameters: Sequence[nn.Parameter], pieces: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
            backward(parameters, pieces, self.loss, world)
            return [cast(Tensor, parameter.grad) for parameter in parameters]

        with untracked(self.supernet):
            if self.settings.order == 1:
                gradients([alpha], validation)
            else:
                alpha.grad = self._unrolled(w, train, validation, gradients)
        self.optimizers["choice"].step()
        loss = backward(w, train, self.loss, world)
        nn.utils.clip_grad_norm_(w, MAXIMUM_NORM)
        self.optimizers["weights"].step()
        return loss

    def _unrolled(
        self,
        w: Sequence[nn.Parameter],
        train: Sequence[tuple[Tensor, ...]],
        validation: Sequence[tuple[Tensor, ...]],
        gradients: Callable[[Sequence[nn.Parameter], Sequence[tuple[Tensor, ...]]], list[Tensor]],
    ) -> Tensor:
        """The gradient of α in (1), by (2); the weights are as before afterwards, to the last bit."""
        optimizer, alpha = self.optimizers["weights"], self.edges.alpha
        before, rate = [parameter.detach().clone() for parameter in w], optimizer.param_groups[0]["lr"]
        direction = gradients(w, train)
        with torch.no_grad():
            for parameter, part in zip(w, direction, strict=True):
                part.add_(parameter, alpha=self.settings.weight_decay)
                if (moment := optimizer.state[parameter].get("momentum_buffer")) is not None:
                    part.add_(moment, alpha=self.settings.momentum)
            torch._foreach_add_(list(w), direction, alpha=-rate)
        *v, direct = gradients([*w, alpha], validation)
        epsilon, sides = _STEP / torch.stack(torch._foreach_norm(v)).norm(), list[Tensor]()
        for sign in (1.0, -1.0):
            with torch.no_grad():
                torch._foreach_copy_(list(w), before)
                torch._foreach_add_(list(w), torch._foreach_mul(v, sign * epsilon))
            sides += gradients([alpha], train)
        with torch.no_grad():
            torch._foreach_copy_(list(w), before)
        found: Tensor = direct - rate * (sides[0] - sides[1]) / (2 * epsilon)
        return found

    def derive(self) -> list[Architecture]:
        """Two pairs a node."""
        with torch.no_grad():
            kinds = [self._cell(edges.tolist()) for edges in self.edges()]
        return [self.setup.space.from_cells([kinds[kind] for kind in self.kinds.tolist()])]

    def _cell(self, edges: list[list[float]]) -> Cell:
        names, nodes, first = self.supernet.operations, [], 0
        for inputs in range(2, 2 + NODES):
            rows = edges[first : first + inputs]
            strongest = sorted(range(inputs), key=lambda j: -max(rows[j]))[:_KEPT]
            nodes.append(tuple((names[rows[j].index(max(rows[j]))], j) for j in sorted(strongest)))
            first += inputs
        return tuple(nodes)
