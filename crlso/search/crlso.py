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

Where only listed architectures of a space can be evaluated, there is hardly one of them on any way: steps 2 to 4 fall
away, no latent space is needed, and all that are open are candidates (docs/results/pareto.md).

CR-LSO [Rao2022]_ refits one convex network to noisy latents and decodes one step from each of the best. Here the
concave members carry the uncertainty, and the certificate of `ascent` holds for each of them.

With several objectives there are M functions of each, and a member's draw of weights w makes one concave function of
them, min_q (f_q - r_q) / w_q (`scalarisation`). An objective that is an exact cost is known and not learned
(`counted`). Single changes of the Pareto set join the candidates, because its ends lie where few weights lead, and the
largest expected gains of hypervolume are taken (`gains`). Where classes are too many to be listed, single changes of
the best told join them with one objective too (docs/results/large_search.md).

.. [Rao2022] X. Rao, B. Zhao, X. Yi, D. Liu. CR-LSO. arXiv 2211.05950.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from crlso.architecture import Architecture
from crlso.latent.cache import latent_space
from crlso.latent.geometry import Ball
from crlso.latent.icnn import ConcaveEnsemble
from crlso.latent.space import LatentSpace
from crlso.pareto import pareto_front
from crlso.search.counted import Counted
from crlso.search.describe import Descriptor, Spread
from crlso.search.gains import expected_gain, gain_together
from crlso.search.models import Exact, Learned, Model
from crlso.search.process import Posterior, Prior, fit_kernel, improve_in_turn
from crlso.search.scalarisation import draw_directions, scalarise
from crlso.search.strategy import Strategy, class_values
from crlso.search.warp import Warp

PRIOR = Prior(reach=2.2, reach_spread=0.5, noise=0.2, noise_spread=0.5)
PRIOR_OF_SEVERAL = Prior(reach=2.2, reach_spread=0.5, noise=0.1, noise_spread=1.0)
SPREAD: Spread = {("edges",): 1.0, ("paths",): 0.55, ("depths",): 2.4, ("decisions",): 1.0, ("costs",): 1.0}
SPREAD_OF_SEVERAL: Spread = {**SPREAD, ("decisions", "operations", "costs"): 1.0}
"""Long scales and much noise: what is told later is good throughout and differs by noise (docs/results/search.md).

Of several objectives some, such as params, have no noise at all.
"""

_FEWEST = 2  # measurements; before, what is asked is drawn at random
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
_SHORTLIST = 256  # candidates whose gain over several objectives is estimated by joint draws
_DRAWS = 64
_TRAVEL = 3.0  # step lengths start at this many radii over the number of steps and add up to half of it


class Crlso(Strategy):
    """The five steps of the module's header."""

    name = "crlso"
    most_objectives: ClassVar[int] = 4  # the boxes of a front grow with their power

    def __init__(self, *args: Any, latent: LatentSpace | None = None, **kwargs: Any) -> None:
        """As `Strategy`, with a latent space of the same search space; the default one is learned when left out."""
        super().__init__(*args, **kwargs)
        if latent is not None or not self.pool.partial:
            self.latent = latent or latent_space(self.space)

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Steps 1 to 5."""
        if len(self.measured) < _FEWEST:
            return []
        archs, values = class_values(self.measured)
        counted = self._counted
        warp = Warp.of(values, counted)
        models = self._models(archs, warp, counted)
        if self.pool.partial:
            candidates = self._open(self._sample)
        else:
            ways = self._climbed(archs, warp, models, rng)
            candidates = self._open([*ways, *self._changed(archs, values)])
        if not candidates:
            return []
        if isinstance(only := models[0], Learned) and self.objectives == 1:
            incumbent = float(only.at(archs).mean.max())
            chosen = improve_in_turn(only.at(candidates), incumbent, n)
        else:
            chosen = most_gaining(models, [*archs, *self.pending], candidates, warp, n, rng)
        return [candidates[row] for row in chosen]

    def _climbed(
        self, archs: Sequence[Architecture], warp: Warp, models: Sequence[Model], rng: np.random.Generator
    ) -> list[Architecture]:
        """What the members' ways lead to: steps 2 to 4."""
        support = self._support(archs)
        draws = np.stack([model.draw(support, _MEMBERS, rng) for model in models])
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        aim = self._aim(warp.scores, generator)
        latents = self._encode(support)
        ensemble = fit_ensemble(latents, torch.from_numpy(draws).float().permute(2, 0, 1).flatten(0, 1), generator)
        best = aim(torch.from_numpy(warp.scores)).argsort(dim=1, descending=True, stable=True)[:, :_BEST_STARTS]
        random = torch.randint(len(latents), (_MEMBERS, _STARTS - best.shape[1]), generator=generator)
        starts = torch.cat([self._encode(archs)[best], latents[random]], dim=1)
        return self.latent.decode_distinct(climb(ensemble, aim, starts, self.latent.vae.ball))

    def _changed(self, archs: Sequence[Architecture], values: Float[np.ndarray, "D Q"]) -> list[Architecture]:
        """Single changes of a front of several objectives, and of the best where classes cannot be listed."""
        if self.objectives > 1:
            rows = np.flatnonzero(pareto_front(values))
        elif self.pool.classes is None:
            rows = np.argsort(-values[:, 0], kind="stable")[:_BEST_STARTS]
        else:
            return []
        return [other for row in rows.tolist() for other in self.pool.neighbours(archs[row])]

    def _open(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        """Those that may be asked for, one a class."""
        seen, found = self.seen, dict[str, Architecture]()
        for arch in architectures:
            admitted = self.pool.admit(arch)
            if admitted is not None and admitted.key not in seen:
                found.setdefault(admitted.key, admitted)
        return list(found.values())

    @property
    def _counted(self) -> dict[int, Counted]:
        """Which of several objectives are exact costs."""
        if self.objectives == 1:
            return {}
        archs = [told.arch for told in self.measured]
        columns = np.array([told.values for told in self.measured]).T
        found = {q: Counted.find(self.space, archs, column) for q, column in enumerate(columns)}
        return {q: counted for q, counted in found.items() if counted is not None}

    def _models(self, archs: Sequence[Architecture], warp: Warp, counted: Mapping[int, Counted]) -> list[Model]:
        prior = PRIOR if self.objectives == 1 else PRIOR_OF_SEVERAL
        told, models = self._describe(archs), list[Model]()
        for q, scores in enumerate(warp.scores.T):
            if q in counted:
                models.append(Exact(counted[q], float(warp.center[q]), float(warp.scale[q])))
            else:
                models.append(Learned(Posterior(fit_kernel(told, scores, prior), told, scores), self._describe))
        return models

    def _aim(self, scores: Float[np.ndarray, "D Q"], generator: torch.Generator) -> Aim:
        """What each member climbs: the score itself, or a scalarisation of its own of several."""
        if self.objectives == 1:
            return Aim(torch.ones(_MEMBERS, 1), torch.zeros(1))
        return Aim(draw_directions(_MEMBERS, self.objectives, generator), torch.from_numpy(scores.min(axis=0)).float())

    def _support(self, told: Sequence[Architecture]) -> list[Architecture]:
        there = {arch.key for arch in self._sample}
        return [*self._sample, *(arch for arch in told if arch.key not in there)]

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
        return Descriptor(self.space, self._sample, SPREAD if self.objectives == 1 else SPREAD_OF_SEVERAL)


def most_gaining(
    models: Sequence[Model],
    there: Sequence[Architecture],
    candidates: Sequence[Architecture],
    warp: Warp,
    n: int,
    rng: np.random.Generator,
) -> list[int]:
    """Candidates of the largest expected gain of hypervolume over what is told or pending; one model an objective."""
    beliefs = [model.at(candidates) for model in models]
    mean, std = (np.stack(parts, axis=1) for parts in zip(*((one.mean, one.std) for one in beliefs), strict=True))
    promise = expected_gain(mean, std, warp, warp.values)
    shortlist = np.argsort(-promise, kind="stable")[:_SHORTLIST]
    rows = [*there, *(candidates[row] for row in shortlist)]
    values = warp(np.stack([model.draw_together(rows, _DRAWS, rng).T for model in models], axis=-1))
    chosen = gain_together(values[:, : len(there)], values[:, len(there) :], warp.reference, n)
    return [int(shortlist[row]) for row in chosen]


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


@dataclass(frozen=True)
class Aim:
    """One concave function of Q scores for every member, its scalarisation.

    Attributes:
        directions: of each member's, positive.
        origin: where scalarisations begin.
    """

    directions: Float[Tensor, "M Q"]
    origin: Float[Tensor, "Q"]

    def __call__(self, scores: Float[Tensor, "*M D Q"]) -> Float[Tensor, "M D"]:
        """Of every member, at the same scores or at scores of its own."""
        return scalarise(scores, self.origin, self.directions[:, None])


def climb(ensemble: ConcaveEnsemble, aim: Aim, starts: Float[Tensor, "M S Z"], ball: Ball) -> Float[Tensor, "P Z"]:
    """Projected gradient ascent of every member's aim from its own starts; all points on all ways.

    The ensemble holds a network for each objective of each member, the objectives of a member side by side.
    """
    objectives = aim.directions.shape[1]
    z, visited = starts, [starts]
    for step in range(_CLIMB):
        z = z.detach().requires_grad_(True)
        scores = ensemble(z.repeat_interleave(objectives, dim=0)).unflatten(0, (-1, objectives))
        (gradient,) = torch.autograd.grad(aim(scores.mT).sum(), z)
        length = _TRAVEL * ball.radius / _CLIMB * (1 - step / _CLIMB)
        z = ball.project(z.detach() + length * F.normalize(gradient, dim=-1))
        visited.append(z)
    return torch.cat(visited, dim=1).flatten(0, 1).detach()
