"""From few labels the teacher ranks what it was not told, and it looks at ranks alone."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from crlso.architecture import Architecture, Graph, Schema
from crlso.latent.population import Population, population_of
from crlso.latent.teacher import teach
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()
TYPED = Schema(
    num_nodes=6,
    node_types=("input", "conv1x1", "conv3x3", "pool", "output"),
    edge_types=("none", "edge"),
    identity_nodes=frozenset({"input", "output"}),
    identity_edges=frozenset({"edge"}),
    sources=frozenset({"input"}),
    sinks=frozenset({"output"}),
)


def some(rng, n, count):
    known = np.zeros(n, dtype=bool)
    known[rng.choice(n, count, replace=False)] = True
    return known


@pytest.mark.parametrize("seed", range(2))
def test_ranks_unseen_classes_of_a_smooth_benchmark(accuracy, seed):
    everyone = population_of(SPACE)
    values = np.array([accuracy(arch) for arch in everyone.representatives])
    known = some(np.random.default_rng(seed), len(everyone), 150)
    taught = teach(everyone, SPACE.schema, np.where(known, values, np.nan), known)
    assert taught.shape == values.shape
    assert kendalltau(taught[~known], values[~known]).statistic > 0.6


def test_only_ranks_count(population, accuracy):
    """Normal scores are the same for any increasing function of the values."""
    values = np.array([accuracy(arch) for arch in population.representatives])
    known = some(np.random.default_rng(0), len(values), 40)
    taught = teach(population, SPACE.schema, values, known)
    np.testing.assert_array_equal(teach(population, SPACE.schema, np.exp(values / 3), known), taught)


def test_what_is_not_known_does_not_count(population, accuracy):
    values = np.array([accuracy(arch) for arch in population.representatives])
    known = some(np.random.default_rng(1), len(values), 40)
    hidden = np.where(known, values, np.nan)
    np.testing.assert_array_equal(
        teach(population, SPACE.schema, values, known), teach(population, SPACE.schema, hidden, known)
    )


def test_graphs_of_any_size_with_operations_on_nodes():
    """The value is the number of convolutions on the way from input to output."""
    rng = np.random.default_rng(2)
    chains = [tuple(rng.integers(1, 4, int(rng.integers(0, 5))).tolist()) for _ in range(150)]
    archs = []
    for number, chain in enumerate(chains):
        nodes = np.array([0, *chain, 4])
        edges = np.eye(len(nodes), k=1, dtype=int)
        archs.append(Architecture("chains", str(chain), Graph(nodes, edges), str(number)))
    index = {arch.key: row for row, arch in enumerate(archs)}
    chained = Population(tuple(archs), np.ones(len(archs), dtype=int), index)
    values = np.array([2.0 * chain.count(2) + chain.count(1) for chain in chains])
    known = some(rng, len(values), 60)
    taught = teach(chained, TYPED, values, known)
    assert kendalltau(taught[~known], values[~known]).statistic > 0.6
