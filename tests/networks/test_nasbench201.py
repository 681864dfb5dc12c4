"""The network against the benchmark's closed form, torch's counters and the space's own notion of equality."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from crlso.networks.costs import Costs
from crlso.networks.nasbench201 import Cell, NasBench201Network, ResidualBlock, build, costs
from crlso.networks.operations import build_operation
from crlso.spaces.nasbench201 import EDGES, OPERATIONS, NasBench201

SPACE = NasBench201()
CIFAR = (10, (3, 32, 32))


def uniform(operation):
    return SPACE.parse(
        f"|{operation}~0|+|{operation}~0|{operation}~1|+|{'|'.join(f'{operation}~{i}' for i in range(3))}|"
    )


def names(arch):
    return [OPERATIONS[arch.graph.edge_types[edge]] for edge in EDGES]


def count(network, input_shape):
    """Parameters and multiply-adds as torch counts them; a network on `meta` costs no time."""
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, *input_shape, device="meta"))
    return Costs(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 2)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(1, 200),
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    width=st.integers(1, 20),
    cells=st.integers(0, 3),
)
def test_costs_are_what_torch_counts(seed, num_classes, input_shape, width, cells):
    (arch,) = SPACE.sample(1, np.random.default_rng(seed))
    with torch.device("meta"):
        network = NasBench201Network(arch, num_classes, input_shape[0], width=width, cells=cells)
    expected = count(network, input_shape)
    assert costs(arch, num_classes, input_shape, width=width, cells=cells) == expected


@pytest.mark.parametrize("arch", SPACE.sample(4, np.random.default_rng(0)), ids=str)
@pytest.mark.parametrize(("num_classes", "input_shape"), [CIFAR, (120, (3, 16, 16)), (7, (1, 9, 13))])
def test_costs_of_the_benchmarks_own_network(arch, num_classes, input_shape):
    network = build(arch, num_classes, input_shape, device="meta")
    assert costs(arch, num_classes, input_shape) == count(network, input_shape)


@given(seed=st.integers(0, 2**32 - 1))
def test_params_follow_the_benchmarks_formula(seed):
    (arch,) = SPACE.sample(1, np.random.default_rng(seed))
    n1, n3 = names(arch).count("nor_conv_1x1"), names(arch).count("nor_conv_3x3")
    cells = 5 * sum(n3 * (9 * c**2 + 2 * c) + n1 * (c**2 + 2 * c) for c in (16, 32, 64))
    assert costs(arch, *CIFAR).params == 73306 + cells


REDUCIBLE = [arch for arch in SPACE.sample(60, np.random.default_rng(1)) if SPACE.canonical(arch).text != arch.text]


@pytest.mark.parametrize("arch", REDUCIBLE[:8], ids=str)
def test_twins_compute_the_same_when_operations_of_a_kind_share_weights(arch):
    """The claim behind `canonical`, on images: tie the weights, and the representative gives the same output."""
    shared = {name: build_operation(name, 4).eval() for name in OPERATIONS}
    images = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for twin in (arch, SPACE.canonical(arch)):
        cell = Cell(names(twin), 4)
        for index, name in enumerate(names(twin)):
            cell.operations[index] = shared[name]
        outputs.append(cell(images))
    assert_close(*outputs)


def test_cell_of_skips_counts_paths():
    x = torch.ones(1, 2, 3, 3)
    assert_close(Cell(names(uniform("skip_connect")), 2)(x), 4 * x)  # h1 = x, h2 = 2x, h3 = x + x + 2x
    assert_close(Cell(names(uniform("none")), 2)(x), 0 * x)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_residual_block_halves_rounding_up(size):
    out = ResidualBlock(4).eval()(torch.randn(2, 4, *size))
    assert out.shape == (2, 8, -(-size[0] // 2), -(-size[1] // 2))


def test_logits_carry_gradients_to_the_stem():
    arch = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|")
    network = build(arch, 5, (1, 8, 8))
    logits = network(torch.randn(4, 1, 8, 8))
    assert logits.shape == (4, 5)
    logits.square().sum().backward()
    assert network.stem[0].weight.grad.abs().sum() > 0


def test_device_and_dtype_are_the_callers_and_the_seed_decides():
    arch = uniform("nor_conv_1x1")
    assert {
        (p.device.type, p.dtype) for p in build(arch, 2, (1, 4, 4), device="meta", dtype=torch.float64).parameters()
    } == {("meta", torch.float64)}
    states = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(3)
        states.append(build(arch, 2, (1, 4, 4), dtype=dtype).head[-1].weight)
    assert_close(states[0].double(), states[1], rtol=0, atol=0)
