"""The encoder of canonical graphs sees every node and edge in its place, and twins as one."""

import numpy as np
import pytest
import torch

from crlso.graphs import ABSENT, Padded
from crlso.latent.places import PlacedEncoder
from crlso.spaces import get_space

SPACE = get_space("darts")


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return PlacedEncoder(16, SPACE.schema).requires_grad_(False)


def encoded(encoder, archs):
    return encoder(Padded.of((SPACE.canonical(arch).graph for arch in archs), SPACE.schema))


def test_twins_have_the_same_features(encoder):
    """The second and third node have changed places."""
    pairs = "('sep_conv_3x3', 0), ('none', 1), ('max_pool_3x3', 0), ('skip_connect', 1), ('none', 0), ('none', 1)"
    other = "('max_pool_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('none', 1), ('none', 0), ('none', 1)"
    last = "('dil_conv_3x3', {}), ('avg_pool_3x3', 0)"
    texts = [
        f"Genotype(normal=[{a}, {last.format(n)}], normal_concat=range(2, 6), "
        f"reduce=[{b}, {last.format(m)}], reduce_concat=range(2, 6))"
        for a, n, b, m in ((pairs, 2, other, 3), (other, 3, pairs, 2))
    ]
    one, two = map(SPACE.parse, texts)
    assert one.text != two.text
    assert torch.equal(encoded(encoder, [one]), encoded(encoder, [two]))


def test_different_classes_have_different_features(encoder):
    archs = SPACE.sample(300, np.random.default_rng(0))
    features = encoded(encoder, archs)
    assert len(torch.unique(features, dim=0)) == len({arch.key for arch in archs})


def test_a_graph_does_not_see_its_batch(encoder):
    archs = SPACE.sample(5, np.random.default_rng(1))
    alone = torch.cat([encoded(encoder, [arch]) for arch in archs])
    torch.testing.assert_close(encoded(encoder, archs), alone)


def test_every_edge_and_node_counts(encoder):
    (arch,) = SPACE.sample(1, np.random.default_rng(2))
    whole = Padded.of([arch.graph], SPACE.schema)
    features = encoder(whole)
    for i, j in zip(*map(torch.Tensor.tolist, whole.edge_types[0].nonzero(as_tuple=True)), strict=True):
        edges = whole.edge_types.clone()
        edges[0, i, j] = 0
        assert not torch.equal(encoder(Padded(whole.node_types, edges)), features)
    for node in range(SPACE.schema.num_nodes):
        nodes = whole.node_types.clone()
        nodes[0, node] = ABSENT
        assert not torch.equal(encoder(Padded(nodes, whole.edge_types)), features)
