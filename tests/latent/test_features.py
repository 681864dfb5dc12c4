"""Features are the same for relabelled nodes where they should be, count what is alive, and skip what explodes."""

import numpy as np
import pytest

from crlso.architecture import Graph, Schema
from crlso.latent.features import (
    cost_features,
    decision_features,
    edge_features,
    operation_features,
    path_features,
)
from crlso.spaces import get_space
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()
CHAIN = Schema(
    num_nodes=20,
    node_types=("input", "sum", "a", "b", "output"),
    edge_types=("none", "flow"),
    identity_nodes=frozenset({"input", "sum", "output"}),
    identity_edges=frozenset({"flow"}),
    sources=frozenset({"input"}),
    sinks=frozenset({"output"}),
)


def cells(*texts):
    return [SPACE.parse(text).graph for text in texts]


def test_an_indicator_for_every_type_that_occurs():
    graphs = [arch.graph for arch in SPACE.sample(500, np.random.default_rng(0))]
    features = edge_features(graphs, SPACE.schema)
    assert features.shape == (500, 30)
    assert (features.sum(axis=1) == 6).all()


def test_paths_are_sequences_of_operations_without_zeros_and_skips():
    plain, detour = cells(
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|",
    )
    other = cells("|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|")
    features = path_features([plain, detour, *other], SPACE.schema)
    assert (features[0] == features[1]).all()
    assert (features[0] != features[2]).all()


def test_no_paths_where_they_are_too_many():
    """Nine diamonds one after the other have 2^9 paths."""
    edges = np.zeros((20, 20), dtype=int)
    for node in range(0, 18, 2):
        edges[node, node + 1] = edges[node, node + 2] = edges[node + 1, node + 2] = 1
    graph = Graph(np.array([0, *[1] * 17, 4, 1]), edges)
    assert path_features([graph, graph], CHAIN).shape == (2, 0)


def test_operations_count_where_they_are_alive():
    """Two convolutions on the way, one that nothing feeds and one that feeds nothing."""
    schema = SPACE.schema
    two, one, dead = cells(
        "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|skip_connect~1|none~2|",
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        "|none~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|none~1|none~2|",
    )
    features = operation_features([two, one, dead], schema)
    at_most_one = [column for column in features.T if column[1] == column[2] != column[0]]
    assert len(at_most_one) > 0


def test_decisions_that_are_numbers_keep_their_order():
    space = get_space("mobile")
    archs = space.sample(50, np.random.default_rng(0))
    features = decision_features(archs, space)
    assert features.shape == (50, len(space.options))
    choices = np.array([space.choices(arch) for arch in archs])
    for column, chosen in zip(features.T, choices.T, strict=True):
        assert (np.diff(column[np.argsort(chosen)]) >= 0).all()
    assert decision_features(SPACE.sample(5, np.random.default_rng(0)), SPACE).shape == (5, 0)


def test_costs_are_standardised_logarithms():
    features = cost_features(np.array([[1.0, 5.0], [10.0, 5.0], [100.0, 5.0]]))
    assert features.ravel().tolist() == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5])
