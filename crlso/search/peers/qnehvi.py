"""Noisy expected hypervolume improvement [Daulton2021]_, [Ament2023]_, by botorch: `pip install 'crlso[bench]'`.

Each objective has an exact Gaussian process on the normal scores of its values, with one squared exponential on each
block of what is known before training, the same as crlso sees (`crlso.search.describe`). Volumes are of values again,
not of scores, and begin at the worst value told in each objective: from the nadir of the front, which botorch infers by
default, the ends of the front stay unexplored. A question is answered greedily, one
architecture after the other, each given those before it and those pending. Candidates are all open classes where they
can be listed, changes of the Pareto set and draws elsewhere. The Monte Carlo estimate is taken of a shortlist: those of
the largest expected improvement on what was told, without noise (`crlso.search.gains`). Of a single objective it is the
noisy expected improvement.

.. [Daulton2021] S. Daulton, M. Balandat, E. Bakshy. Parallel Bayesian Optimization of Multiple Noisy Objectives with
   Expected Hypervolume Improvement. NeurIPS 2021.
.. [Ament2023] S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy. Unexpected Improvements to Expected
   Improvement for Bayesian Optimization. NeurIPS 2023.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property, reduce
from itertools import accumulate, pairwise
from operator import add
from typing import Any, ClassVar

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, RBFKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from jaxtyping import Float
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from crlso.architecture import Architecture
from crlso.pareto import pareto_front
from crlso.search.describe import Descriptor, Spread
from crlso.search.gains import expected_gain
from crlso.search.process import Prior
from crlso.search.strategy import Strategy, class_values
from crlso.search.warp import Warp

_MOST_LISTED = 20_000  # classes that are all candidates; of larger pools, those around the Pareto set and draws
_DRAWS = 500
_REFERENCE = 2000  # architectures on which features are scaled where classes are not listed
_SHORTLIST = 64  # candidates whose improvement is estimated with noise and pending
_SAMPLES = 64  # of the posterior, in that estimate
_CHUNK = 128  # candidates whose posterior is taken at once: their joint covariance is computed on the way
_ITERATIONS = 60  # of the fit, enough for its few parameters
_LEAST_NOISE = 1e-4
_SHORTEST = 1e-3  # length scale, of a block's typical distance


PRIOR = Prior(reach=1.9, reach_spread=0.5, noise=0.1, noise_spread=1.0)
"""Long scales; objectives such as exact costs have no noise, others much."""
SPREAD: Spread = {
    **{(name,): 1.0 for name in ("edges", "paths", "depths", "decisions", "costs")},
    ("decisions", "operations", "costs"): 1.0,
}


class Qnehvi(Strategy):
    """Bayesian optimisation of the dominated hypervolume."""

    name = "qnehvi"
    most_objectives: ClassVar[int] = 4

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """The batch of the largest expected improvement, put together greedily."""
        if not self.measured:
            return []
        archs, values = class_values(self.measured)
        front = [arch for arch, best in zip(archs, pareto_front(values), strict=True) if best]
        candidates = self.candidates(front, rng)
        if not candidates:
            return []
        known = self._describe([*archs, *self.pending, *candidates])
        blocks = [varying for block in known if (varying := block[:, np.ptp(block, axis=0) > 0]).size]
        if not blocks:
            return []
        x = torch.from_numpy(np.hstack(blocks)).double()
        told, pending, free = x.split([len(archs), len(self.pending), len(candidates)])
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.manual_seed(int(rng.integers(2**63)))
            for category in (BotorchWarning, NumericalWarning):  # features beyond the unit cube, early stopping, jitter
                warnings.simplefilter("ignore", category)
            warp = Warp.of(values)
            model = fit(told, torch.from_numpy(warp.scores), [block.shape[1] for block in blocks])
            picked = improve(model, warp, told, pending, free, n)
        return [candidates[row] for row in picked]

    def candidates(self, front: Sequence[Architecture], rng: np.random.Generator) -> list[Architecture]:
        """Open architectures of distinct classes: all there are, or those around the front and some draws."""
        seen = self.seen
        if self.pool.classes is not None and len(self.pool) <= _MOST_LISTED:
            return [arch for arch in self.pool.classes if arch.key not in seen]
        near = {other.key: other for arch in front for other in self.pool.neighbours(arch) if other.key not in seen}
        return [*near.values(), *self.pool.sample(_DRAWS, rng, without=seen | near.keys())]

    @cached_property
    def _describe(self) -> Descriptor:
        listed = self.pool.classes
        rng = np.random.default_rng(self.seed)
        return Descriptor(self.space, self.pool.sample(_REFERENCE, rng) if listed is None else listed, SPREAD)


def fit(x: Float[Tensor, "D F"], y: Float[Tensor, "D Q"], sizes: Sequence[int]) -> SingleTaskGP:
    """Independent processes of all objectives at the mode of their posterior; sizes are those of the blocks."""
    batch = torch.Size([y.shape[1]] if y.shape[1] > 1 else [])
    ends = accumulate(sizes, initial=0)
    parts = [_squared_exponential(range(first, last), batch) for first, last in pairwise(ends)]
    likelihood = GaussianLikelihood(
        noise_prior=LogNormalPrior(math.log(PRIOR.noise), PRIOR.noise_spread),
        noise_constraint=GreaterThan(_LEAST_NOISE, initial_value=PRIOR.noise),
        batch_shape=batch,
    )
    model = SingleTaskGP(x, y, likelihood=likelihood, covar_module=reduce(add, parts), outcome_transform=None)
    with suppress(ModelFittingError):  # then the priors' modes have to do
        posterior = ExactMarginalLogLikelihood(likelihood, model)
        fit_gpytorch_mll(posterior, optimizer_kwargs={"options": {"maxiter": _ITERATIONS}})
    return model


def _squared_exponential(columns: range, batch: torch.Size) -> Kernel:
    inner = RBFKernel(
        active_dims=tuple(columns),
        batch_shape=batch,
        lengthscale_prior=LogNormalPrior(math.log(PRIOR.reach), PRIOR.reach_spread),
        lengthscale_constraint=GreaterThan(_SHORTEST, initial_value=PRIOR.reach),
    )
    return ScaleKernel(inner, batch_shape=batch, outputscale_prior=LogNormalPrior(0.0, PRIOR.amplitude_spread))


@torch.no_grad()
def improve(
    model: SingleTaskGP,
    warp: Warp,
    told: Float[Tensor, "D F"],
    pending: Float[Tensor, "P F"],
    free: Float[Tensor, "K F"],
    n: int,
) -> list[int]:
    """Rows of `free` that together improve the most, first the single best; fewer than n where there are no more."""
    gain = _acquisition(model, warp, told)
    posteriors = [model.posterior(chunk) for chunk in free.split(_CHUNK)]
    mean = torch.cat([one.mean for one in posteriors]).numpy()
    std = torch.cat([one.variance.sqrt() for one in posteriors]).numpy()
    promise = expected_gain(mean, std, warp, warp.values)
    shortlist = torch.from_numpy(promise).argsort(descending=True, stable=True)[:_SHORTLIST]
    picked: list[int] = []
    for _ in range(min(n, len(shortlist))):
        gain.set_X_pending(torch.cat([pending, free[picked]]) if len(pending) + len(picked) else None)
        gains = gain(free[shortlist].unsqueeze(1))
        gains[torch.isin(shortlist, torch.tensor(picked, dtype=torch.long))] = -torch.inf
        picked.append(int(shortlist[gains.argmax()]))
    return picked


def _acquisition(
    model: SingleTaskGP, warp: Warp, told: Float[Tensor, "D F"]
) -> qLogNoisyExpectedImprovement | qLogNoisyExpectedHypervolumeImprovement:
    """Noisy expected improvement in the values that the warp gives, whatever is pending yet to be said."""
    sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=int(torch.randint(2**31, ())))
    shared: dict[str, Any] = {"X_baseline": told, "sampler": sampler, "prune_baseline": True}

    def several(scores: Tensor, X: Tensor | None = None) -> Tensor:  # noqa: ARG001, N803 (botorch's names)
        return torch.from_numpy(warp(scores.numpy()))

    def single(scores: Tensor, X: Tensor | None = None) -> Tensor:  # noqa: ARG001, N803
        return torch.from_numpy(warp(scores.numpy())).squeeze(-1)

    if len(warp.knots) == 1:
        return qLogNoisyExpectedImprovement(model, objective=GenericMCObjective(single), **shared)
    objective = GenericMCMultiOutputObjective(several)
    return qLogNoisyExpectedHypervolumeImprovement(model, warp.reference.tolist(), objective=objective, **shared)
