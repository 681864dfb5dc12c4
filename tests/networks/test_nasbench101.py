"""The network against torch's counters, the benchmark's own parameter counts and channel rule."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from crlso.networks.costs import Costs
from crlso.networks.nasbench101 import Cell, NasBench101Network, build, costs, vertex_channels
from crlso.spaces.nasbench101 import NasBench101

SPACE = NasBench101()
CIFAR = (10, (3, 32, 32))
CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


def matrix_of(edges, size):
    return tuple(tuple(int((i, j) in edges) for j in range(size)) for i in range(size))


def cell(edges, *operations):
    ops = ["input", *operations, "output"]
    return SPACE.parse(json.dumps({"matrix": matrix_of(edges, len(ops)), "ops": ops}))


def count(network, input_shape):
    """Parameters and multiply-adds as torch counts them; a network on `meta` costs no time."""
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, *input_shape, device="meta"))
    return Costs(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 2)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(1, 200),
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    width=st.integers(5, 20),
    cells=st.integers(0, 3),
)
def test_costs_are_what_torch_counts(seed, num_classes, input_shape, width, cells):
    (arch,) = SPACE.sample(1, np.random.default_rng(seed))
    with torch.device("meta"):
        network = NasBench101Network(arch, num_classes, input_shape[0], width=width, cells=cells)
    assert costs(arch, num_classes, input_shape, width=width, cells=cells) == count(network, input_shape)


def test_costs_of_the_benchmarks_own_network():
    for arch in SPACE.sample(4, np.random.default_rng(0)):
        assert costs(arch, *CIFAR) == count(build(arch, *CIFAR, device="meta"), CIFAR[1])


@pytest.mark.parametrize(
    ("arch", "params"),
    [
        (cell([(0, 1), (0, 2), (1, 2), (2, 3)], POOL, POOL), 1_756_298),
        (cell([(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)], POOL, CONV3, CONV1), 11_215_242),
        (cell([(0, 1), (0, 3), (1, 2), (1, 3), (2, 3)], CONV3, CONV3), 5_969_674),
        (cell([(0, 1), (1, 2), (1, 4), (2, 3), (2, 4), (3, 4)], POOL, CONV1, CONV1), 533_262),  # 128 in three parts
    ],
)
def test_params_are_those_that_the_benchmark_publishes(arch, params):
    assert costs(arch, *CIFAR).params == params


def test_dead_vertices_cost_nothing():
    alive = cell([(0, 1), (1, 2)], CONV3)
    padded = cell([(0, 1), (1, 4), (0, 2), (3, 4)], CONV3, CONV1, CONV3)
    assert costs(padded, *CIFAR) == costs(alive, *CIFAR)


def test_channels_are_shared_out_and_the_first_get_the_remainder():
    assert vertex_channels(matrix_of([(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], 5), 64, 128) == [
        64,
        43,
        43,
        42,
        128,
    ]


def test_a_vertex_is_as_wide_as_the_widest_that_it_leads_to():
    edges = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)]
    assert vertex_channels(matrix_of(edges, 5), 64, 129) == [64, 65, 65, 64, 129]


def test_cell_adds_inside_and_concatenates_outside():
    """Pools pass constants on, so what arrives is known: max(a) + b inside, two halves side by side outside."""
    edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (0, 3)]
    module = Cell(matrix_of(edges, 4), (POOL, POOL), 3, 4).eval()
    x = torch.rand(2, 3, 1, 1).expand(2, 3, 5, 5)
    first, second, out = (module.projections[name](x) for name in "123")
    assert_close(module(x), torch.cat([first, first + second], dim=1) + out)


def test_cell_of_one_edge_is_a_projection():
    module = Cell(matrix_of([(0, 1)], 2), (), 3, 4).eval()
    x = torch.randn(2, 3, 5, 5)
    assert_close(module(x), module.projections["1"](x))


def test_logits_carry_gradients_to_the_stem():
    arch = cell([(0, 1), (1, 2), (2, 3), (0, 3)], CONV3, POOL)
    network = NasBench101Network(arch, 5, 1, width=8, cells=1)
    logits = network(torch.randn(4, 1, 8, 8))
    assert logits.shape == (4, 5)
    logits.square().sum().backward()
    assert network.stem[0].weight.grad.abs().sum() > 0


def test_device_and_dtype_are_the_callers():
    network = build(cell([(0, 1)]), 2, (1, 4, 4), device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in network.parameters()} == {("meta", torch.float64)}
