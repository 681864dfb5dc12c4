"""CR-LSO as an ask/tell strategy: Thompson sampling with concave functions in a latent space learned without labels.

Each question goes through five steps:

1. a Gaussian process on structure, exact costs and path statistics is fitted to the normal scores of what was told
   (`process`, `describe`);
2. M functions are drawn from its posterior, and member m of a concave ensemble learns draw m at the latents of a
   support: all classes where they are listed, a sample and what was told elsewhere;
3. every member is climbed by projected gradient ascent from the best told and from random places; a concave function
   has one maximum, so starts differ in the way there, which is what is decoded;
4. all points on all ways are decoded to the candidates;
5. among these the process, which knows more than any member, takes the largest expected improvements one after the
   other, believing its mean in between.

CR-LSO [Rao2022]_ refits one convex network to noisy latents and decodes one step from each of the best. Here the
concave members carry the uncertainty, and the certificate of `ascent` holds for each of them.

With several objectives there are M functions of each, a member's draw of weights w makes one concave function of
them, min_q (f_q - r_q) / w_q, and the candidates are taken by expected gain of hypervolume, which is the mean of
max(0, min_q (y_q - r_q) / w_q)^Q over w from the positive part of the sphere up to a constant [Zhang2020]_.

.. [Rao2022] X. Rao, B. Zhao, X. Yi, D. Liu. CR-LSO. arXiv 2211.05950.
.. [Zhang2020] R. Zhang, D. Golovin. Random Hypervolume Scalarizations for Provable Multi-Objective Black Box
   Optimization. ICML 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from crlso.architecture import Architecture
from crlso.latent.geometry import Ball
from crlso.latent.icnn import ConcaveEnsemble
from crlso.latent.space import LatentSpace, latent_space
from crlso.search.describe import Descriptor
from crlso.search.process import Posterior, Prior, fit_kernel, improve_in_turn, normal_scores
from crlso.search.strategy import Strategy, class_values

PRIOR = Prior(reach=2.2, reach_spread=0.5, noise=0.2, noise_spread=0.5)
SPREAD = {"edges": 1.0, "paths": 0.55, "depths": 2.4, "decisions": 1.0, "costs": 1.0}
"""Long scales and much noise: what is told later is good throughout and differs by noise (docs/results/search.md)."""

_MEMBERS = 4
_HIDDEN = 48
_LAYERS = 2
_STEPS = 150  # of fitting the ensemble
_BATCH = 512
_LEARNING_RATE = 2e-2
_MOST_WEIGHT = 20.0  # of an architecture in the fit: the best of a draw count more than the rest
_SUPPORT = 2000  # sampled architectures where classes cannot be listed
_BEST_STARTS, _STARTS = 8, 32  # an ascent starts from so many of the best told, and from random members of the support
_CLIMB = 40  # steps of an ascent
_TRAVEL = 3.0  # step lengths start at this many radii over the number of steps and add up to half of it


class Crlso(Strategy):
    """The five steps of the module's header."""

    name = "crlso"

    def __init__(self, *args: Any, latent: LatentSpace | None = None, **kwargs: Any) -> None:
        """As `Strategy`, with a latent space of the same search space; the default one is learned when left out."""
        super().__init__(*args, **kwargs)
        self.latent = latent or latent_space(self.space)

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Steps 1 to 5."""
        if len(self.measured) < 2:
            return []
        archs, values = class_values(self.measured)
        scores = normal_scores(values[:, 0])
        told = self._describe(archs)
        posterior = Posterior(fit_kernel(told, scores, PRIOR), told, scores)
        support = self._support(archs)
        draws = posterior.draw(self._describe(support), _MEMBERS, rng)
        latents = self._encode(support)
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        ensemble = fit_ensemble(latents, torch.from_numpy(draws.T).float(), generator)
        best = [archs[row] for row in np.argsort(-scores, kind="stable")[:_BEST_STARTS]]
        starts = self._starts(best, latents, generator)
        candidates = self._decode(climb(ensemble, starts, self.latent.vae.ball))
        if not candidates:
            return []
        incumbent = float(posterior.at(told).mean.max())
        chosen = improve_in_turn(posterior.at(self._describe(candidates)), incumbent, n)
        return [candidates[row] for row in chosen]

    def _support(self, told: Sequence[Architecture]) -> list[Architecture]:
        there = {arch.key for arch in self._sample}
        return [*self._sample, *(arch for arch in told if arch.key not in there)]

    def _starts(self, best: Sequence[Architecture], latents: Tensor, generator: torch.Generator) -> Tensor:
        """[M, S, Z]: the same of the best for every member, the others its own."""
        rows = torch.randint(len(latents), (_MEMBERS, _STARTS - len(best)), generator=generator)
        shared = self._encode(best).expand(_MEMBERS, -1, -1)
        return torch.cat([shared, latents[rows]], dim=1)

    def _decode(self, path: Float[Tensor, "P Z"]) -> list[Architecture]:
        """Open architectures that points decode to, one a class."""
        seen = self.seen
        found: dict[str, Architecture] = {}
        for arch in self.latent.decode_distinct(path):
            admitted = self.pool.admit(arch)
            if admitted is not None and admitted.key not in seen:
                found.setdefault(admitted.key, admitted)
        return list(found.values())

    def _encode(self, architectures: Sequence[Architecture]) -> Float[Tensor, "B Z"]:
        new = [arch for arch in architectures if arch.key not in self._latents]
        if new:
            self._latents |= zip((arch.key for arch in new), self.latent.encode(new), strict=True)
        return torch.stack([self._latents[arch.key] for arch in architectures])

    @cached_property
    def _latents(self) -> dict[str, Tensor]:
        return {}

    @cached_property
    def _sample(self) -> tuple[Architecture, ...]:
        """All classes that may be asked for, or a part of the latent space's population."""
        return self.pool.classes or self.latent.population.representatives[:_SUPPORT]

    @cached_property
    def _describe(self) -> Descriptor:
        return Descriptor(self.space, self._sample, SPREAD)


def fit_ensemble(
    latents: Float[Tensor, "K Z"], draws: Float[Tensor, "M K"], generator: torch.Generator
) -> ConcaveEnsemble:
    """One concave network a draw, by weighted least squares on mini-batches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        ensemble = ConcaveEnsemble(latents.shape[1], _HIDDEN, _LAYERS, len(draws))
    weights = (draws.softmax(dim=1) * draws.shape[1]).clamp(max=_MOST_WEIGHT)
    optimizer = torch.optim.Adam(ensemble.parameters(), _LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_STEPS + 1)
    for _ in range(_STEPS):
        batch = torch.randint(len(latents), (_BATCH,), generator=generator)
        loss = (weights[:, batch] * (ensemble(latents[batch]) - draws[:, batch]).square()).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return ensemble.requires_grad_(False)


def climb(ensemble: ConcaveEnsemble, starts: Float[Tensor, "M S Z"], ball: Ball) -> Float[Tensor, "P Z"]:
    """Projected gradient ascent of every member from its own starts; all points on all ways."""
    z, visited = starts, [starts]
    for step in range(_CLIMB):
        z = z.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(ensemble(z).sum(), z)
        length = _TRAVEL * ball.radius / _CLIMB * (1 - step / _CLIMB)
        z = ball.project(z.detach() + length * F.normalize(gradient, dim=-1))
        visited.append(z)
    return torch.cat(visited).flatten(0, 1).detach()
