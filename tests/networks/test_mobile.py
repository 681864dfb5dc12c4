"""The mobile network against its benchmark's table, torch's counters and the algebra of its parts."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from crlso.networks.costs import Costs
from crlso.networks.mobile import InvertedResidual, Layer, SqueezeExcite, build, costs, layers_of
from crlso.spaces.mobile import Mobile

SPACE = Mobile()
IMAGENET = (1000, (3, 224, 224))
ROWS = {  # architecture: (macs_m, params_m) as Accel-NASBench lists them
    "e6k3l1s0|e4k5l2s0|e6k3l3s0|e6k5l3s0|e6k5l2s0|e1k3l2s0|e1k3l2s0": (415.361072, 2.50116),
    "e6k3l1s0|e1k5l3s0|e6k3l2s0|e6k3l1s0|e4k3l2s0|e6k5l1s0|e4k5l2s0": (372.73264, 3.44436),
    "e4k5l3s0|e4k3l1s0|e1k3l1s0|e1k5l2s0|e6k3l1s0|e4k5l3s0|e4k3l2s0": (426.06032, 3.8534),
    "e1k5l2s0|e6k3l2s0|e1k5l1s0|e1k5l3s0|e1k3l2s0|e4k5l3s0|e1k5l3s0": (199.70384, 2.833144),
}


def count(network, input_shape):
    """Parameters and multiply-adds as torch counts them; a network on `meta` costs no time."""
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, *input_shape, device="meta"))
    return Costs(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 2)


@settings(max_examples=6)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(1, 200),
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 80), st.integers(1, 80)),
)
def test_costs_are_what_torch_counts(seed, num_classes, input_shape):
    (arch,) = SPACE.sample(1, np.random.default_rng(seed))
    network = build(arch, num_classes, input_shape, device="meta")
    assert costs(arch, num_classes, input_shape) == count(network, input_shape)


@pytest.mark.parametrize("text", ROWS)
def test_params_are_those_of_the_table(text):
    assert costs(SPACE.parse(text), *IMAGENET).params == round(ROWS[text][1] * 1e6)


@pytest.mark.parametrize("text", ROWS)
def test_multiply_adds_are_those_of_the_table_with_its_surcharges(text):
    """The table adds four for each number that is normalised, and n + 1 for each mean over n pixels."""
    arch, extra = SPACE.parse(text), []
    network = build(arch, *IMAGENET, device="meta")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, inputs, out: extra.append(4 * out.numel()))
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_hook(lambda _, inputs, out: extra.append(inputs[0].numel() + out.numel()))
    network.eval()(torch.zeros(1, *IMAGENET[1], device="meta"))
    assert costs(arch, *IMAGENET).flops + sum(extra) == round(ROWS[text][0] * 1e6)


def test_layers_halve_and_widen_where_blocks_begin():
    layers = list(layers_of(SPACE.parse("e6k3l2s0|" * 5 + "e1k5l4s1|e4k3l1s0")))
    assert len(layers) == 5 * 2 + 4 + 1
    assert [layer.stride for layer in layers[:10]] == [1, 1, 2, 1, 2, 1, 2, 1, 1, 1]
    assert [layer.stride for layer in layers[10:]] == [2, 1, 1, 1, 1]
    assert all(one.c_out == other.c_in for one, other in pairwise(layers))
    assert layers[10] == Layer(c_in=112, c_out=192, expansion=1, kernel_size=5, stride=2, excite=True)


def test_a_layer_that_keeps_the_shape_adds_what_came_in():
    layer = InvertedResidual(Layer(c_in=8, c_out=8, expansion=4, kernel_size=3, stride=1, excite=True)).eval()
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(layer.body[-1][1].weight)  # of the last normalisation: the body gives nothing
    assert_close(layer(x), x)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_sizes_are_divided_rounding_up(stride, size):
    layer = InvertedResidual(Layer(c_in=8, c_out=12, expansion=1, kernel_size=5, stride=stride, excite=False)).eval()
    out = layer(torch.randn(2, 8, *size))
    assert out.shape == (2, 12, -(-size[0] // stride), -(-size[1] // stride))


def test_squeeze_excite_scales_channels_by_less_than_one_whatever_the_size():
    x = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0)) + 3
    ratio = SqueezeExcite(8, 2)(x) / x
    assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio), rtol=1e-4, atol=1e-5)
    assert ((ratio > 0) & (ratio < 1)).all()


def test_logits_carry_gradients_to_the_stem():
    network = build(SPACE.parse("e6k3l1s1|" * 6 + "e1k5l1s0"), 5, (1, 32, 32))
    logits = network(torch.randn(4, 1, 32, 32))
    assert logits.shape == (4, 5)
    logits.square().sum().backward()
    assert network.stem[0][0].weight.grad.abs().sum() > 0
