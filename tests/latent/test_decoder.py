"""The decoder writes a typed DAG: nothing on or below the diagonal, and its loss is the likelihood of a graph."""

import math

import pytest
import torch

from crlso.latent.decoder import GraphDecoder
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return GraphDecoder(3, 8, SPACE.schema).requires_grad_(False)


def test_logits_of_every_node_and_every_possible_edge(decoder):
    nodes, edges = decoder(torch.randn(7, 3))
    assert nodes.shape == (7, 4, 3)
    assert edges.shape == (7, 4, 4, 5)
    possible = torch.ones(4, 4).triu(1).bool()
    assert (edges[:, possible] != 0).all()
    assert (edges[:, ~possible] == 0).all()


def test_cross_entropy_is_that_of_the_logits(decoder):
    torch.manual_seed(1)
    z, node_types, edge_types = torch.randn(7, 3), torch.randint(3, (7, 4)), torch.randint(5, (7, 4, 4)).triu(1)
    nodes, edges = (logits.log_softmax(dim=-1) for logits in decoder(z))
    of_nodes = [nodes[b, n, node_types[b, n]] for b in range(7) for n in range(4)]
    of_edges = [edges[b, i, j, edge_types[b, i, j]] for b in range(7) for j in range(4) for i in range(j)]
    wanted = -torch.stack(of_nodes).mean() - torch.stack(of_edges).mean()
    torch.testing.assert_close(decoder.cross_entropy(z, node_types, edge_types), wanted)


def test_knowing_nothing_costs_the_logarithms_of_the_choices(decoder):
    for parameter in decoder.trunk[-1].parameters():
        parameter.zero_()
    nothing = decoder.cross_entropy(torch.randn(2, 3), torch.zeros(2, 4).long(), torch.zeros(2, 4, 4).long())
    assert nothing.item() == pytest.approx(math.log(3) + math.log(5))


def test_what_lies_below_the_diagonal_is_no_target(decoder):
    z, node_types, edge_types = torch.randn(2, 3), torch.zeros(2, 4).long(), torch.ones(2, 4, 4).long()
    assert torch.equal(
        decoder.cross_entropy(z, node_types, edge_types), decoder.cross_entropy(z, node_types, edge_types.triu(1))
    )


def test_a_graph_can_be_learned():
    torch.manual_seed(0)
    decoder = GraphDecoder(2, 16, SPACE.schema)
    arch = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|none~2|")
    target = [torch.from_numpy(types.copy())[None] for types in (arch.graph.node_types, arch.graph.edge_types)]
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        decoder.cross_entropy(torch.ones(1, 2), *target).backward()
        optimizer.step()
    nodes, edges = (logits.detach().numpy() for logits in decoder(torch.ones(1, 2)))
    assert SPACE.decode(nodes, edges)[0].text == arch.text
