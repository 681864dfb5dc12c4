"""Boosted trees: they rank what they have not seen, with a bonus where bootstrap samples disagree."""

import numpy as np
from scipy.stats import kendalltau

from crlso.search.peers.trees import Trees
from crlso.search.pool import Pool
from crlso.spaces import get_space

SPACE = get_space("nasbench201")
POOL = Pool(SPACE)


def test_utilities_rank_unseen_classes_of_a_smooth_benchmark(accuracy):
    strategy, rng = Trees(SPACE), np.random.default_rng(0)
    archs = POOL.sample(300, rng)
    values, rows = np.array([accuracy(arch) for arch in archs]), np.array([strategy.encode(arch) for arch in archs])
    utilities = strategy.utilities(rows[:100], values[:100], rows[100:], rng)
    assert kendalltau(utilities, values[100:]).statistic > 0.6


def test_utilities_are_the_mean_and_half_the_spread(monkeypatch):
    class Constant:
        """Predicts the mean of its bootstrap sample."""

        def __init__(self, **settings):
            pass

        def fit(self, known, scores):
            means.append(scores.mean())
            return self

        def predict(self, candidates):
            return np.full(len(candidates), means[-1])

    means = []
    monkeypatch.setattr("crlso.search.peers.trees.GradientBoostingRegressor", Constant)
    scores = np.arange(20.0)
    utilities = Trees(SPACE).utilities(np.zeros((20, 30)), scores, np.zeros((3, 30)), np.random.default_rng(0))
    assert len(set(means)) == 5  # a sample of its own for each member
    np.testing.assert_allclose(utilities, np.mean(means) + 0.5 * np.std(means))


def test_members_agree_where_all_values_do():
    rows = np.eye(30)
    utilities = Trees(SPACE).utilities(rows[:10], np.ones(10), rows, np.random.default_rng(0))
    np.testing.assert_allclose(utilities, 1.0)
