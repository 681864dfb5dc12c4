"""BANANAS: its encoding is the same for twins, its ensemble learns and disagrees where it knows nothing."""

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from crlso.search.paths import paths
from crlso.search.peers.bananas import Bananas, Ensemble
from crlso.search.pool import Pool
from crlso.spaces import get_space

SPACE = get_space("nasbench201")
POOL = Pool(SPACE)


def test_twins_have_the_same_features_other_classes_others():
    strategy = Bananas(SPACE)
    some = POOL.sample(300, np.random.default_rng(0))
    rows = np.array([strategy.encode(arch) for arch in some])
    assert len(np.unique(rows, axis=0)) == len(some)
    for arch, row in zip(some, rows, strict=True):
        np.testing.assert_array_equal(row, strategy.encode(SPACE.canonical(arch)))


def test_features_are_paths_then_choices():
    strategy = Bananas(SPACE)
    arch = SPACE.canonical(POOL.classes[2000])
    row = strategy.encode(arch)
    present = {path for path, column in strategy._columns.items() if row[column]}
    assert present == paths(arch.graph, SPACE.schema) & strategy._columns.keys()
    assert row[len(strategy._columns) :].sum() == len(SPACE.options)


def test_members_are_apart_and_follow_their_generator():
    def trained(seed):
        generator = torch.Generator().manual_seed(seed)
        ensemble = Ensemble(4, generator)
        x = torch.rand(80, 4, generator=torch.Generator().manual_seed(0))
        ensemble.fit(x, x.sum(dim=1), generator)
        with torch.no_grad():
            return ensemble(x.expand(5, -1, -1)), x.sum(dim=1)

    predicted, truth = trained(0)
    assert torch.equal(predicted, trained(0)[0])
    assert predicted.std(dim=0).min() > 0
    assert (predicted.mean(dim=0) - truth).abs().mean() < 0.1 * truth.std()


def test_batched_members_compute_what_each_would_alone():
    ensemble = Ensemble(3, torch.Generator().manual_seed(0))
    x = torch.randn(5, 7, 3)
    for member in range(5):
        h = x[member]
        for weight, bias in zip(ensemble.weights[:-1], ensemble.biases[:-1], strict=True):
            h = torch.relu(h @ weight[member] + bias[member])
        alone = (h @ ensemble.weights[-1][member] + ensemble.biases[-1][member]).squeeze(-1)
        torch.testing.assert_close(ensemble(x)[member], alone)


def test_thompson_draws_have_the_members_moments(monkeypatch):
    predicted = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(Ensemble, "fit", lambda *args: None)
    monkeypatch.setattr(Ensemble, "__call__", lambda *args: predicted)
    strategy, nothing = Bananas(SPACE), np.zeros((3, 2))
    drawn = np.array(
        [strategy.utilities(nothing, nothing[:, 0], nothing, np.random.default_rng(seed)) for seed in range(2000)]
    )
    means, stds = predicted.double().numpy().mean(axis=0), predicted.double().numpy().std(axis=0)
    assert (np.abs(drawn.mean(axis=0) - means) < 4 * stds / np.sqrt(2000)).all()
    np.testing.assert_allclose(drawn.std(axis=0), stds, rtol=0.07)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.1  # independent


@pytest.mark.parametrize("seed", range(2))
def test_utilities_rank_unseen_classes_of_a_smooth_benchmark(seed, accuracy):
    strategy, rng = Bananas(SPACE), np.random.default_rng(seed)
    archs = POOL.sample(400, rng)
    values, rows = np.array([accuracy(arch) for arch in archs]), np.array([strategy.encode(arch) for arch in archs])
    scores = (values[:100] - values.mean()) / values.std()
    utilities = strategy.utilities(rows[:100], scores, rows[100:], rng)
    assert kendalltau(utilities, values[100:]).statistic > 0.6
