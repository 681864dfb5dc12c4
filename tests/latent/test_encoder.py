"""The encoder computes the architecture itself in other dimensions, so what computes the same has the same latent."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crlso.architecture import Graph
from crlso.graphs import Forest
from crlso.latent.encoder import GraphEncoder
from crlso.latent.population import population_of
from crlso.spaces.nasbench201 import EDGES, NasBench201

SPACE = NasBench201()
ZERO = SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


@pytest.fixture(scope="module")
def encoder():
    """With random biases, as after training, and in double precision, where equations hold to many digits."""
    torch.manual_seed(0)
    encoder = GraphEncoder(12, SPACE.schema).double().requires_grad_(False)
    for bias in encoder.conv.bias.values():
        bias.normal_()
    return encoder


def encode(encoder, architectures):
    return encoder(Forest.of((arch.graph for arch in architectures), SPACE.schema))


def in_hidden_dimensions(encoder, arch):
    """Equation (1) of the module along the cell's own edges, without any forest."""
    conv, x = encoder.conv, encoder.source_values[0]
    values = [x, *torch.zeros(3, len(x), dtype=x.dtype)]
    for source, target in EDGES:
        code, h = int(arch.graph.edge_types[source, target]), values[source]
        if code == 1:
            values[target] = values[target] + h
        elif code:
            inner, outer, bias = (group[str(code)] for group in (conv.inner, conv.outer, conv.bias))
            values[target] = values[target] + (F.silu(h @ inner + bias) - F.silu(bias)) @ outer
    return values[-1]


def test_features_are_those_of_the_cell_run_in_hidden_dimensions(encoder):
    cells = SPACE.sample(100, np.random.default_rng(0))
    wanted = encoder.readout(torch.stack([in_hidden_dimensions(encoder, arch) for arch in cells]))
    torch.testing.assert_close(encode(encoder, cells), wanted)


def test_isomorphic_cells_have_the_same_features_and_no_others(encoder):
    cells = SPACE.sample(2_000, np.random.default_rng(1))
    features = encode(encoder, cells)
    by_key = {}
    for arch, row in zip(cells, features, strict=True):
        assert torch.equal(by_key.setdefault(arch.key, row), row)
    distinct = torch.stack(list(by_key.values()))
    assert len(distinct) < len(cells)
    assert torch.pdist(distinct).min() > 1e-9


def test_all_classes_are_told_apart(encoder):
    forest = Forest.of((arch.graph for arch in population_of(SPACE).representatives), SPACE.schema)
    features = encoder(forest)
    apart = torch.unique((features * 1e9).round(), dim=0)
    assert len(apart) == len(features) == 4_930


def test_relabelled_nodes_change_nothing(encoder):
    """Nodes 1 and 2 may change places where no edge joins them."""
    arch = SPACE.parse("|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|nor_conv_1x1~1|skip_connect~2|")
    order = [0, 2, 1, 3]
    other = Graph(arch.graph.node_types[order], arch.graph.edge_types[np.ix_(order, order)])
    assert (other.edge_types != arch.graph.edge_types).any()
    together = encoder(Forest.of([arch.graph, other], SPACE.schema))
    torch.testing.assert_close(together[0], together[1], rtol=0, atol=1e-14)  # rows of a product round by their place
    torch.testing.assert_close(encoder(Forest.of([other], SPACE.schema))[0], together[0])


def test_a_batch_is_as_good_as_one_by_one(encoder):
    cells = [*SPACE.sample(50, np.random.default_rng(2)), ZERO]
    alone = torch.cat([encode(encoder, [arch]) for arch in cells])
    torch.testing.assert_close(encode(encoder, cells), alone)
    forest = Forest.of((arch.graph for arch in cells), SPACE.schema)
    parts = torch.cat([encoder(forest.subset(torch.tensor([row]))) for row in range(len(cells))])
    torch.testing.assert_close(parts, alone)


def test_operations_keep_zero(encoder):
    dead = SPACE.parse("|none~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|")
    features = encode(encoder, [dead, ZERO])
    torch.testing.assert_close(features, encoder.readout(torch.zeros(2, 12, dtype=torch.float64)))


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    encoder = GraphEncoder(8, SPACE.schema)
    encode(encoder, SPACE.sample(50, np.random.default_rng(3))).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        if name == "source_values":
            assert parameter.grad.any(dim=1).tolist() == [True, False, False], "only inputs are sources"
        else:
            assert parameter.grad.any(), name
