"""Bayesian optimisation with an exact Gaussian process on the architecture itself, the strongest simple peer.

Squared exponentials on typed edges, on paths as in [White2021]_ and on exact costs, fitted to the normal scores of the
values with a weak prior, expected improvement over every open class, batches by believing the mean (the kriging
believer of [Ginsbourger2010]_). Where classes cannot be listed, candidates are as in `surrogate`.

.. [White2021] C. White, W. Neiswanger, Y. Savani. BANANAS. AAAI 2021.
.. [Ginsbourger2010] D. Ginsbourger, R. Le Riche, L. Carraro. Kriging Is Well-Suited to Parallelize Optimization. 2010.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from crlso.architecture import Architecture
from crlso.search.describe import Descriptor, Spread
from crlso.search.peers.surrogate import open_candidates
from crlso.search.process import Posterior, Prior, fit_kernel, improve_in_turn, normal_scores
from crlso.search.strategy import Strategy, class_values

PRIOR = Prior(reach=0.8, reach_spread=0.3, noise=0.2, noise_spread=0.5, amplitude_spread=0.5)
SPREAD: Spread = {("edges",): 1.2, ("paths",): 0.6, ("costs",): 1.1}
"""Scales around what a fit to all of NAS-Bench-201 gives; a weaker prior was slower (docs/results/search.md)."""

_REFERENCE = 2000  # architectures that scale the features where a space cannot be listed


class Gp(Strategy):
    """Expected improvement under the process, one after the other."""

    name = "gp"

    def propose(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """The n largest expected improvements, each after the ones before are believed."""
        if not self.measured:
            return []
        archs, values = class_values(self.measured)
        scores = normal_scores(values[:, 0])
        candidates = open_candidates(self, [archs[row] for row in np.argsort(-scores, kind="stable")], rng)
        if not candidates:
            return []
        told = self._describe(archs)
        posterior = Posterior(fit_kernel(told, scores, PRIOR), told, scores)
        incumbent = float(posterior.at(told).mean.max())  # what is told is noisy
        return [candidates[row] for row in improve_in_turn(posterior.at(self._describe(candidates)), incumbent, n)]

    @cached_property
    def _describe(self) -> Descriptor:
        listed = self.pool.classes if self.pool.classes is not None else ()
        reference = listed or self.pool.sample(_REFERENCE, np.random.default_rng(self.seed))
        return Descriptor(self.space, reference, SPREAD)
