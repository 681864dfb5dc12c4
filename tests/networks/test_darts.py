"""The DARTS network against torch's counters and published sizes; cells, drop-path and the auxiliary classifier."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from crlso.networks.costs import Costs
from crlso.networks.darts import DartsNetwork, build, costs, drop_paths
from crlso.networks.operations import FactorizedReduce, ReLUConvBN
from crlso.spaces.darts import Darts

SPACE = Darts()
CIFAR = (10, (3, 32, 32))
DARTS_V2 = SPACE.parse(  # the cells that DARTS published, found with second-order gradients
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)
SAMPLE = SPACE.sample(6, np.random.default_rng(0))


def small(arch=DARTS_V2, shape=(3, 32, 32), **options):
    return DartsNetwork(arch, 10, shape, width=4, cells=5, **options)


def uniform(operation):
    pairs = ", ".join(f"('{operation}', {source})" for _ in range(4) for source in (0, 1))
    return SPACE.parse(
        f"Genotype(normal=[{pairs}], normal_concat=range(2, 6), reduce=[{pairs}], reduce_concat=range(2, 6))"
    )


def count(network, input_shape):
    """Parameters and multiply-adds as torch counts them; a network on `meta` costs no time."""
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(2, *input_shape, device="meta"))
    return Costs(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 2)


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(1, 200),
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    width=st.integers(1, 9),
    cells=st.integers(1, 7),
)
def test_costs_are_what_torch_counts(seed, num_classes, input_shape, width, cells):
    (arch,) = SPACE.sample(1, np.random.default_rng(seed))
    with torch.device("meta"):
        network = DartsNetwork(arch, num_classes, input_shape, width=width, cells=cells, auxiliary=False)
    assert costs(arch, num_classes, input_shape, width=width, cells=cells) == count(network, input_shape)


def test_published_size_of_the_published_cells():
    """The paper says 3.3 million."""
    assert costs(DARTS_V2, *CIFAR).params == 3_349_342
    assert costs(DARTS_V2, *CIFAR) == count(build(DARTS_V2, *CIFAR, auxiliary=False, device="meta"), CIFAR[1])


def test_costs_leave_the_auxiliary_head_out():
    network = build(DARTS_V2, *CIFAR, device="meta")
    counted = count(network, CIFAR[1])
    auxiliary = sum(p.numel() for p in network.auxiliary.parameters())
    assert counted.params - auxiliary == costs(DARTS_V2, *CIFAR).params
    assert counted.flops == costs(DARTS_V2, *CIFAR).flops


def test_training_gives_two_logits_and_evaluation_one():
    network, images = small(), torch.randn(4, 3, 32, 32)
    logits, auxiliary = network(images)
    assert logits.shape == auxiliary.shape == (4, 10)
    assert network.eval()(images).shape == (4, 10)
    assert small(auxiliary=False)(images).shape == (4, 10)


def test_the_auxiliary_head_teaches_the_cells_up_to_two_thirds():
    network = small()
    _, auxiliary = network(torch.randn(4, 3, 32, 32))
    auxiliary.square().sum().backward()
    reached = [any(p.grad is not None for p in cell.parameters()) for cell in network.cells]
    assert reached == [True, True, True, True, False]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 21), (2, 64, 64)])
def test_images_of_any_size_train(shape):
    for arch in SAMPLE:
        logits, auxiliary = small(arch, shape)(torch.randn(3, *shape))
        (logits.square().sum() + auxiliary.square().sum()).backward()
        assert logits.shape == auxiliary.shape == (3, 10)


def test_reduction_cells_stand_at_a_third_and_two_thirds_and_double_the_channels():
    network = DartsNetwork(DARTS_V2, 10, (3, 32, 32), width=4, cells=20)
    widths = [cell.preprocess[1][1].out_channels for cell in network.cells]
    assert widths == [4] * 6 + [8] * 7 + [16] * 7
    kinds = [type(cell.preprocess[0]) for cell in network.cells]
    assert [n for n, kind in enumerate(kinds) if kind is FactorizedReduce] == [7, 14]
    assert kinds.count(ReLUConvBN) == 18
    strides = {n for n, cell in enumerate(network.cells) for op in cell.operations if isinstance(op, nn.MaxPool2d)}
    assert strides == {6, 13}


def test_nodes_add_two_terms_and_the_cell_concatenates_nodes():
    """Skips on both inputs: nodes 2 to 5 are all the sum of the two inputs."""
    cell = small(uniform("skip_connect")).cells[0].eval()
    x = torch.randn(2, 12, 8, 8)
    inputs = [preprocess(x) for preprocess in cell.preprocess]
    assert_close(cell(x, x, 0.0), torch.cat([inputs[0] + inputs[1]] * 4, dim=1))


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = drop_paths(torch.ones(4000, 2, 3, 3), 0.25)
    values = dropped.flatten(1)
    assert (values == values[:, :1]).all()
    assert sorted(set(values[:, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert abs(values[:, 0].mean() - 1) < 5 * np.sqrt(1 / 3 / 4000)


def test_identities_and_evaluation_drop_nothing():
    cell = small(uniform("skip_connect")).cells[0]
    pooling = small(uniform("avg_pool_3x3")).cells[0]
    x = torch.randn(6, 12, 8, 8)
    with torch.no_grad():
        assert_close(cell(x, x, 0.9), cell(x, x, 0.0))
        assert not torch.equal(pooling(x, x, 0.9), pooling(x, x, 0.0))
        assert_close(pooling.eval()(x, x, 0.9), pooling(x, x, 0.0))


def test_the_network_hands_its_rate_to_the_cells():
    network, images = small(uniform("max_pool_3x3")), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        plain = network(images)[0]
        network.drop_path = 0.5
        assert not torch.equal(network(images)[0], plain)


def test_device_and_dtype_are_the_callers():
    network = build(DARTS_V2, 2, (1, 8, 8), device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in network.parameters()} == {("meta", torch.float64)}


@pytest.mark.parametrize(("cells", "ends"), [(3, (0, 1, 2)), (5, (0, 2, 4)), (8, (1, 4, 7)), (20, (5, 12, 19))])
def test_stages_are_outputs_of_cells_before_each_reduction_and_of_the_last(cells, ends):
    network, outputs = DartsNetwork(DARTS_V2, 10, (3, 8, 8), width=2, cells=cells).eval(), []
    images = torch.randn(2, 3, 8, 8)
    for cell in network.cells:
        cell.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    with torch.no_grad():
        logits = network(images)
        expected = [outputs[end] for end in ends]
        found = network.stages(images)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        assert torch.equal(network.head(found[-1]), logits)
    assert [tuple(stage.shape[1:]) for stage in found] == [(8, 8, 8), (16, 4, 4), (32, 2, 2)]
