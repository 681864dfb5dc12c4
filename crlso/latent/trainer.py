"""Trains a latent space; a killed training resumes to the bit-identical result.

All randomness comes from one generator. At the end of an epoch the trainer's whole state, the generator's included, is
written beside the bundle-to-be and takes the place of the epoch before in one atomic step.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from crlso.exceptions import BundleError
from crlso.graphs import Collated
from crlso.latent.objectives import OBJECTIVES, Losses, Objective, Reconstruction, Targets
from crlso.latent.vae import GraphVAE

Progress = Callable[[int, dict[str, float]], None]
"""Called after each epoch with the number of epochs done and the last batch's losses."""


class Trainer:
    """Optimiser, schedule and random state around a model and its objective."""

    def __init__(
        self, model: GraphVAE, targets: Targets, graphs: Collated, seed: int, device: torch.device, identity: str = ""
    ) -> None:
        """Prepare the first epoch.

        Args:
            model: the network to train, on the device.
            targets: what to learn of each graph, on the device.
            graphs: the graphs, on the host: mini-batches are cut there and sent to the device.
            seed: of the order of batches and all noise.
            device: where steps are computed.
            identity: names data and settings; a checkpoint of another identity is refused.
        """
        config = model.config
        self.model, self.targets, self.graphs, self.device = model, targets, graphs, device
        objective = OBJECTIVES[config.objective] if targets.labelled else Reconstruction
        self.objective: Objective = objective(model, targets, graphs.to(device))
        self.generator = torch.Generator(device).manual_seed(seed)
        concave = list(model.ensemble.parameters())
        rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("ensemble.")]
        groups: list[dict[str, Any]] = [{"params": rest}, {"params": concave, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.steps = max(1, len(graphs) // config.batch)
        self.schedule = _schedule(self.optimizer, config.schedule, config.learning_rate, config.epochs * self.steps)
        self.epoch = 0
        self.identity = identity
        if targets.costs.shape[1]:
            model.cost_center.copy_(targets.cost_center)
            model.cost_scale.copy_(targets.cost_scale)

    def fit(self, checkpoint: Path | None = None, progress: Progress | None = None) -> None:
        """Train to the last epoch, saving after each one where a checkpoint is given."""
        self.model.train()
        while self.epoch < self.model.config.epochs:
            losses = self._train_epoch()
            self.epoch += 1
            if checkpoint is not None:
                self._save(checkpoint)
            if progress is not None:
                progress(self.epoch, {name: loss.item() for name, loss in losses.items()})
        self.model.eval()

    def resume(self, checkpoint: Path) -> None:
        """Take over the state of a training that was stopped.

        Raises:
            BundleError: the file is no checkpoint of this training.
        """
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            if state["identity"] != self.identity:
                raise ValueError("other data, settings or seed")
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.generator.set_state(state["generator"].cpu())
            self.epoch = state["epoch"]
        except Exception as error:  # a damaged file can raise anything
            raise BundleError(
                f"{checkpoint} does not continue this training ({error}); train without --resume"
            ) from error

    def _train_epoch(self) -> Losses:
        config = self.model.config
        self.objective.start_epoch()
        order = torch.randperm(len(self.graphs), generator=self.generator, device=self.device).cpu()
        losses: Losses = {}
        for rows in order[: self.steps * config.batch].split(config.batch):
            batch = rows.to(self.device, non_blocking=True)
            posterior = self.model.posterior(self.graphs.subset(rows).to(self.device))
            losses = self.objective(batch, posterior, self.generator)
            if self.targets.costs.shape[1]:
                predicted = self.model.costs(posterior.mean)
                losses["cost"] = (predicted - self.targets.costs[batch]).square().mean()
            weighted = [getattr(config, name) * loss for name, loss in losses.items() if self._active(name)]
            self._step(torch.stack(weighted).sum())
        return losses

    def _active(self, name: str) -> bool:
        """The tessellation waits until latents have found their places, a quarter of the training."""
        return name != "tessellation" or 4 * self.epoch >= self.model.config.epochs

    def _step(self, loss: Float[Tensor, ""]) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.model.config.clip_norm)
        self.optimizer.step()
        self.schedule.step()

    def _save(self, checkpoint: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "identity": self.identity,
        }
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)


def _schedule(
    optimizer: torch.optim.Optimizer, name: str, peak: float, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if name == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps + 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
