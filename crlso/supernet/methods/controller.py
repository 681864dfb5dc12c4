"""The feedback controller of SNPS [Rao2025]_: push until pairs die at the wanted rate, and mark where they resist.

The search minimises L (1 + γ S) + γ μ S, with L the task's loss and S a measure of how many pairs a network keeps.
After each look at the weights the controller learns how many pairs died, p, and keeps n ← τ n + (1 − τ) p:

- n below the wanted rate: γ ← φ γ; where γ has come to γ_max before, this is patience, and after t_max such looks in a
  row the architecture that resists is a *plateau*: it is recorded, and μ ← ρ μ, rate ← ξ rate push on;
- otherwise too much dies at once: γ ← k γ.

The rule is that of the released code, where the controller looks after every step. That a plateau is what makes an
architecture worth recording is our reading of it.

.. [Rao2025] X. Rao, B. Zhao, D. Liu. Differentiable neural architecture distillation. arXiv:2504.20080.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt

from crlso.supernet.methods.base import MethodSettings


class ControllerSettings(MethodSettings):
    """The released constants for CIFAR: 120 epochs of 390 steps.

    Attributes:
        gamma: where γ begins.
        gamma_max: the γ from which on a look without deaths counts as resistance.
        growth: φ.
        relaxation: k.
        rate: wanted deaths a look.
        patience: t_max, looks.
        smoothing: τ.
        mu: where μ begins.
        escalation: ρ.
        rate_growth: ξ.
    """

    gamma: PositiveFloat = 1e-4
    gamma_max: PositiveFloat = 0.1
    growth: PositiveFloat = 1.01
    relaxation: PositiveFloat = 0.99
    rate: PositiveFloat = 0.005
    patience: PositiveInt = 50
    smoothing: float = Field(0.9, ge=0, lt=1)
    mu: PositiveFloat = 0.1
    escalation: PositiveFloat = 1.5
    rate_growth: PositiveFloat = 1.0


class Controller:
    """The rule of the module's header.

    Attributes:
        gamma: γ.
        mu: μ.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self.settings = settings
        self.gamma, self.mu, self.rate = settings.gamma, settings.mu, settings.rate
        self.deaths, self.waited = 0.0, 0

    def update(self, died: int) -> bool:
        """Learn how many pairs died since the last look; whether a plateau is reached."""
        s = self.settings
        self.deaths = s.smoothing * self.deaths + (1 - s.smoothing) * died
        if self.deaths >= self.rate:
            self.gamma *= s.relaxation
            self.waited = 0
            return False
        self.waited = self.waited + 1 if self.gamma >= s.gamma_max else 0
        self.gamma *= s.growth
        if self.waited < s.patience:
            return False
        self.waited = 0
        self.mu *= s.escalation
        self.rate *= s.rate_growth
        return True

    def state(self) -> dict[str, Any]:
        """All that changes."""
        return {name: getattr(self, name) for name in ("gamma", "mu", "rate", "deaths", "waited")}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name, value in state.items():
            setattr(self, name, value)
