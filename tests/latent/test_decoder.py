"""The decoder writes a typed DAG: nothing on or below the diagonal, and its loss is the likelihood of a graph."""

import math

import pytest
import torch

from crlso.exceptions import ProblemError
from crlso.graphs import ABSENT, Padded
from crlso.latent.decoder import GraphDecoder
from crlso.spaces.darts_flexible import FlexibleDarts
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
    torch.testing.assert_close(decoder.cross_entropy(z, Padded(node_types, edge_types)), wanted)


def test_knowing_nothing_costs_the_logarithms_of_the_choices(decoder):
    for parameter in decoder.trunk[-1].parameters():
        parameter.zero_()
    nothing = decoder.cross_entropy(torch.randn(2, 3), Padded(torch.zeros(2, 4).long(), torch.zeros(2, 4, 4).long()))
    assert nothing.item() == pytest.approx(math.log(3) + math.log(5))


def test_what_lies_below_the_diagonal_is_no_target(decoder):
    z, node_types, edge_types = torch.randn(2, 3), torch.zeros(2, 4).long(), torch.ones(2, 4, 4).long()
    full, upper = (decoder.cross_entropy(z, Padded(node_types, edges)) for edges in (edge_types, edge_types.triu(1)))
    assert torch.equal(full, upper)


def test_places_that_a_smaller_graph_leaves_empty_are_no_target(decoder):
    z, edge_types = torch.randn(1, 3), torch.zeros(1, 4, 4).long()
    nodes = decoder(z)[0].log_softmax(dim=-1)[0]
    smaller, full = torch.tensor([[1, 2, ABSENT, ABSENT]]), torch.tensor([[1, 2, 0, 0]])
    difference = decoder.cross_entropy(z, Padded(full, edge_types)) - decoder.cross_entropy(
        z, Padded(smaller, edge_types)
    )
    two, four = -(nodes[0, 1] + nodes[1, 2]) / 2, -(nodes[0, 1] + nodes[1, 2] + nodes[2, 0] + nodes[3, 0]) / 4
    torch.testing.assert_close(difference, four - two)


def test_a_graph_can_be_learned():
    torch.manual_seed(0)
    decoder = GraphDecoder(2, 16, SPACE.schema)
    arch = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|none~2|")
    target = Padded.of([arch.graph], SPACE.schema)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        decoder.cross_entropy(torch.ones(1, 2), target).backward()
        optimizer.step()
    nodes, edges = (logits.detach().numpy() for logits in decoder(torch.ones(1, 2)))
    assert SPACE.decode(nodes, edges)[0].text == arch.text


def test_what_all_graphs_share_is_settled_and_the_rest_can_still_be_learned():
    """Cells whose last edge alone differs: after settling, nothing but that edge costs or changes anything."""
    torch.manual_seed(0)
    decoder = GraphDecoder(2, 16, SPACE.schema)
    texts = [f"|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|{name}~2|" for name in SPACE.schema.edge_types]
    archs = [SPACE.parse(text) for text in texts]
    graphs = Padded.of((arch.graph for arch in archs), SPACE.schema)
    decoder.settle(graphs)
    for arch in SPACE.decode(*(logits.detach().numpy() for logits in decoder(torch.randn(50, 2)))):
        assert arch.text.rpartition("|none~1|")[0] == texts[0].rpartition("|none~1|")[0]
    decoder.trunk[-1].bias.data[decoder.rows] = 0.0
    decoder.trunk[-1].weight.data[decoder.rows] = 0.0
    assert decoder.cross_entropy(torch.randn(5, 2), graphs).item() == pytest.approx(math.log(5))


def test_settling_leaves_what_differs_in_place():
    torch.manual_seed(0)
    decoder = GraphDecoder(2, 16, SPACE.schema)
    every = Padded(torch.randint(3, (40, 4)), torch.randint(5, (40, 4, 4)).triu(1))
    z = torch.randn(40, 2)
    before = decoder.cross_entropy(z, every)
    decoder.settle(every)
    torch.testing.assert_close(decoder.cross_entropy(z, every), before)


def test_graphs_too_large_to_be_written_at_once_are_refused_with_the_remedy():
    GraphDecoder(2, 1, FlexibleDarts("darts-flexible-dnad", 20).schema)
    with pytest.raises(ProblemError, match=r"57 nodes and 132 edge types .* fewer cells or operations"):
        GraphDecoder(2, 1, FlexibleDarts("darts-flexible").schema)
