"""Tree-structured Parzen estimator, multivariate [Falkner2018]_, by optuna [Akiba2019]_: `pip install 'crlso[bench]'`.

The study is built anew from the record for every question: decisions are categorical parameters, architectures are
entered as their class's representative, and those pending as the worst value told (constant liar). Draws that are no
architecture, none of the pool, or told already are drawn again; after `_DRAWS` the place is left to chance.

.. [Falkner2018] S. Falkner, A. Klein, F. Hutter. BOHB: Robust and Efficient Hyperparameter Optimization at Scale.
   ICML 2018.
.. [Akiba2019] T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama. Optuna: A Next-generation Hyperparameter Optimization
   Framework. KDD 2019.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import optuna

from crlso.architecture import Architecture
from crlso.exceptions import ArchitectureError
from crlso.search.strategy import Strategy, class_values

_DRAWS = 30  # for one place


class Tpe(Strategy):
    """Samples where the density of the best exceeds that of the rest.

    Attributes:
        ei_candidates: draws of which each suggestion is the best by expected improvement.
    """

    name = "tpe"

    def __init__(self, *args: Any, ei_candidates: int = 24, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ei_candidates = ei_candidates
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            f"{decision}": optuna.distributions.CategoricalDistribution(range(len(names)))
            for decision, names in enumerate(self.space.options)
        }

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Suggestions of the study, one after the other, each taken for bad by the next."""
        taken, asked = self.seen, list[Architecture]()
        if not self.measured:
            return asked
        study, worst = self._study(rng)
        for _ in range(n):
            arch = self._draw(study, worst, taken)
            if arch is not None:
                asked.append(arch)
                taken.add(arch.key)
        return asked

    def _study(self, rng: np.random.Generator) -> tuple[optuna.Study, float]:
        """What was told, and what is pending as the worst of it."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        archs, values = class_values(self.measured)
        worst = float(values.min())
        sampler = optuna.samplers.TPESampler(
            n_ei_candidates=self.ei_candidates, multivariate=True, seed=int(rng.integers(2**32))
        )
        study = optuna.create_study(sampler=sampler, direction="maximize")
        entries = [*zip(archs, values[:, 0].tolist(), strict=True), *((arch, worst) for arch in self.pending)]
        study.add_trials([self._trial(arch, value) for arch, value in entries])
        return study, worst

    def _trial(self, arch: Architecture, value: float) -> optuna.trial.FrozenTrial:
        choices = self.space.choices(self.space.canonical(arch))
        params = {f"{decision}": choice for decision, choice in enumerate(choices)}
        return optuna.trial.create_trial(params=params, distributions=self._distributions, value=value)

    def _draw(self, study: optuna.Study, worst: float, taken: AbstractSet[str]) -> Architecture | None:
        for _ in range(_DRAWS):
            trial = study.ask(self._distributions)
            arch = self._admitted([trial.params[decision] for decision in self._distributions])
            if arch is not None and arch.key not in taken:
                study.tell(trial, worst)
                return arch
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return None

    def _admitted(self, choices: list[int]) -> Architecture | None:
        try:
            return self.pool.admit(self.space.from_choices(choices))
        except ArchitectureError:
            return None
