"""Costs of single layers against torch's own counters."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from crlso.networks.costs import Costs, batch_norm, convolution, linear

sizes = st.integers(1, 9)


def count(module: nn.Module, *shape: int) -> Costs:
    """Parameters and multiply-adds of one forward pass, as torch sees them."""
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, *shape))
    return Costs(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2)


@given(c_in=sizes, c_out=sizes, kernel=st.sampled_from([1, 3, 5]), height=sizes, width=sizes, stride=st.integers(1, 2))
def test_convolution(c_in, c_out, kernel, height, width, stride):
    module = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    rows, columns = -(-height // stride), -(-width // stride)
    assert convolution(c_in, c_out, kernel, rows, columns) == count(module, c_in, height, width)


@given(c_in=sizes, c_out=sizes)
def test_linear(c_in, c_out):
    assert linear(c_in, c_out) == count(nn.Linear(c_in, c_out), c_in)


@given(channels=sizes)
def test_batch_norm(channels):
    assert batch_norm(channels) == count(nn.BatchNorm2d(channels), channels, 2, 2)


@given(c_in=sizes, c_out=sizes, times=sizes)
def test_costs_of_a_stack_add_up(c_in, c_out, times):
    layers = [nn.Linear(c_in, c_out), *(nn.Linear(c_out, c_out) for _ in range(times))]
    assert linear(c_in, c_out) + linear(c_out, c_out) * times == count(nn.Sequential(*layers), c_in)
