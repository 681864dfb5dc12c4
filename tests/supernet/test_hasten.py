"""A hastened network is the network that it was: the same values, gradients and names."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from crlso.networks.operations import build_operation
from crlso.supernet.hasten import Depthwise, hasten


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "nor_conv_3x3"])
def test_the_same_function_and_gradients(name, stride, size):
    torch.manual_seed(0)
    plain = build_operation(name, 4, stride).double()
    fast = copy.deepcopy(plain)
    hasten(fast)
    x = torch.randn(3, 4, size, size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    weight = None
    for module in (plain, fast):
        y = module(x)
        weight = torch.randn_like(y) if weight is None else weight
        (y * weight).sum().backward()
    assert_close(plain(x), fast(x))
    assert plain.state_dict().keys() == fast.state_dict().keys()
    for (key, p), (_, q) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        assert_close(p.grad, q.grad, msg=key)


def test_only_convolutions_by_channel_are_exchanged():
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, groups=2))
    weight = network[0].weight
    hasten(network)
    assert [type(module) for module in network] == [Depthwise, nn.Conv2d, nn.Conv2d]
    assert network[0].weight is weight
