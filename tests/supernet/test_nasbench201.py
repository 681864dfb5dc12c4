"""The shared network of a cell is the stand-alone one, and computes nothing that does not count."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from crlso.exceptions import ProblemError
from crlso.spaces.nasbench201 import EDGES, OPERATIONS, NasBench201
from crlso.supernet.nasbench201 import NasBench201Supernet, live_edges, slice_network

SPACE = NasBench201()
SAMPLE = [SPACE.choices(arch) for arch in SPACE.sample(6, np.random.default_rng(0))]
X = torch.randn(5, 3, 8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def build(**options):
    torch.manual_seed(0)
    return NasBench201Supernet(7, (3, 8, 6), width=4, cells=2, **options).double()


@pytest.mark.parametrize("options", [{}, {"affine": True}, {"stem_stride": 2}], ids=str)
@pytest.mark.parametrize("codes", SAMPLE)
def test_the_shared_network_of_a_cell_is_the_stand_alone_one(codes, options):
    network = build(**options)
    alone = slice_network(network, codes)
    logits, expected = network(X, codes), alone(X)
    assert_close(logits, expected)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert_close(network.stem[0].weight.grad, alone.stem[0].weight.grad)
    for number, cell in enumerate(network.cells):
        stage, copy = divmod(number, 2)
        for edge in live_edges(codes):
            module = alone.get_submodule(f"stage{stage}.{copy}.operations.{edge}")
            ours = dict(cell.edges[edge][OPERATIONS[codes[edge]]].named_parameters())
            for name, parameter in module.named_parameters():
                if name in ours:
                    assert_close(ours[name].grad, parameter.grad)


def test_edges_are_live_exactly_when_the_expression_keeps_them():
    """Turning a dead edge into "none" gives a twin, and an edge that matters to no twin is dead."""
    for arch in SPACE.sample(200, np.random.default_rng(1)):
        codes = SPACE.choices(arch)
        live = live_edges(codes)
        pruned = [code if edge in live else 0 for edge, code in enumerate(codes)]
        assert SPACE.from_choices(pruned) == arch
        for edge in live:
            without = [0 if other == edge else code for other, code in enumerate(pruned)]
            assert SPACE.from_choices(without) != arch


def test_only_live_operations_run():
    network, ran = build(), []
    for cell in network.cells[:2]:
        for edge, operations in enumerate(cell.edges):
            for name, module in operations.items():
                module.register_forward_hook(lambda *_, edge=edge, name=name: ran.append((edge, name)))
    codes = (3, 0, 0, 1, 2, 4)  # 0→1 conv, 0→3 skip, 1→3 conv; nothing reaches node 2, so 2→3 is dead
    network(X, codes)
    assert [EDGES[edge] for edge in live_edges(codes)] == [(0, 1), (0, 3), (1, 3)]
    assert ran == [(0, "nor_conv_3x3"), (3, "skip_connect"), (4, "nor_conv_1x1")] * 2


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_cells_see_images_that_the_stem_made_smaller_by_its_stride(stride):
    network, seen = build(stem_stride=stride), []
    network.cells[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[1:])))
    network(X, SAMPLE[0])
    assert seen == [(4, -(-8 // stride), -(-6 // stride))]


def test_an_empty_cell_gives_the_same_logits_for_all_images():
    logits = build()(X, [0] * 6)
    assert logits.shape == (5, 7)
    assert_close(logits, logits[:1].expand(5, 7))


def test_evaluation_normalises_by_the_batch_as_training_does():
    network = build()
    assert torch.equal(network(X, SAMPLE[0]), network.eval()(X, SAMPLE[0]))
    assert not list(network.buffers())


def test_affine_parameters_are_there_on_demand():
    assert sum(p.numel() for p in build(affine=True).parameters()) > sum(p.numel() for p in build().parameters())


@pytest.mark.parametrize("codes", [(1, 2, 3), (0, 0, 0, 0, 0, 5)])
def test_what_is_no_cell_is_refused(codes):
    with pytest.raises(ProblemError, match="6 numbers from 0 to 4"):
        build()(X, codes)
