"""The process as a peer: it asks for the largest expected improvement among all open classes."""

import numpy as np

from crlso.search.peers.gp import PRIOR, Gp
from crlso.search.process import Posterior, fit_kernel, mean_excess, normal_scores
from crlso.spaces import get_space


def test_it_asks_for_the_largest_expected_improvement(accuracy):
    space = get_space("nasbench201")
    strategy = Gp(space, seed=0, candidates=space.sample(300, np.random.default_rng(0)))
    for arch in strategy.ask(12):
        strategy.tell(arch, accuracy(arch))
    told = [one.arch for one in strategy.told]
    scores = normal_scores(np.array([one.values[0] for one in strategy.told]))
    blocks = strategy._describe(told)
    open_ones = [arch for arch in strategy.pool.classes if arch.key not in strategy.seen]
    posterior = Posterior(fit_kernel(blocks, scores, PRIOR), blocks, scores)
    beliefs, incumbent = posterior.at(strategy._describe(open_ones)), posterior.at(blocks).mean.max()
    improvement = mean_excess(beliefs.mean, beliefs.std, np.array([incumbent]))[:, 0]
    best = open_ones[int(improvement.argmax())]
    assert strategy.ask(1) == [best]
