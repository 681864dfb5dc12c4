"""What each candidate operation does to an image."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from crlso.exceptions import UnknownNameError
from crlso.networks.costs import Costs
from crlso.networks.operations import (
    ConvBNReLU,
    FactorizedReduce,
    ReLUConvBN,
    SeparableConv,
    build_operation,
    operation_costs,
)
from crlso.spaces import darts, nasbench101, nasbench201

IMAGES = torch.randn(4, 6, 7, 5, generator=torch.Generator().manual_seed(0))


NAMES = sorted({*nasbench201.OPERATIONS, *nasbench101.OPERATIONS, *darts.OPERATIONS})


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_keeps_the_shape_or_halves_it_rounding_up(name):
    assert build_operation(name, 6)(IMAGES).shape == IMAGES.shape
    assert build_operation(name, 6, stride=2)(IMAGES).shape == (4, 6, 4, 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stride", "size"), [(1, (7, 5)), (2, (4, 3))])
def test_costs_are_what_torch_counts(name, stride, size):
    with torch.device("meta"):
        operation = build_operation(name, 6, stride)
    with FlopCounterMode(display=False) as counter:
        operation(torch.zeros(1, 6, 7, 5, device="meta"))
    counted = Costs(sum(p.numel() for p in operation.parameters()), counter.get_total_flops() // 2)
    assert operation_costs(name, 6, *size, stride=stride) == counted


def test_none_is_zero_even_where_the_input_is_not_finite():
    assert_close(build_operation("none", 6)(IMAGES / 0), torch.zeros_like(IMAGES))


def test_skip_connect_is_the_identity():
    assert_close(build_operation("skip_connect", 6)(IMAGES), IMAGES, rtol=0, atol=0)


def test_average_pool_is_a_mean_of_covered_pixels_also_at_the_border():
    pool = build_operation("avg_pool_3x3", 6)
    assert_close(pool(torch.full_like(IMAGES, 3.0)), torch.full_like(IMAGES, 3.0))
    assert_close(pool(IMAGES)[:, :, 0, 0], IMAGES[:, :, :2, :2].mean(dim=(2, 3)))
    assert_close(pool(IMAGES)[:, :, 3, 2], IMAGES[:, :, 2:5, 1:4].mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["nor_conv_1x1", "nor_conv_3x3"])
def test_convolution_sees_only_positive_parts_and_normalises(name):
    operation = build_operation(name, 6)
    out = operation(IMAGES)
    assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)
    assert_close(operation(IMAGES.clamp_min(0)), out)
    assert_close(operation.eval()(-IMAGES.abs()), operation(torch.zeros_like(IMAGES)))


def test_one_by_one_convolution_mixes_no_pixels():
    operation = build_operation("nor_conv_1x1", 6).eval()
    assert_close(operation(IMAGES).flip(2), operation(IMAGES.flip(2)))


def test_stride_halves_the_image_rounding_up():
    assert ReLUConvBN(6, 8, 3, stride=2)(IMAGES).shape == (4, 8, 4, 3)


def test_conv_bn_relu_ends_in_positive_parts():
    out = ConvBNReLU(6, 8, 1)(IMAGES)
    assert out.shape == (4, 8, 7, 5)
    assert out.min() == 0
    assert 0.3 < (out > 0).float().mean() < 0.7


@pytest.mark.parametrize(("kernel_size", "dilation", "reach"), [(3, 1, 1), (5, 1, 2), (3, 2, 2), (5, 2, 4)])
def test_separable_convolutions_see_as_far_as_their_kernel(kernel_size, dilation, reach):
    operation = SeparableConv(2, kernel_size, dilation=dilation).eval()
    spot = torch.zeros(1, 2, 15, 15)
    spot[0, :, 7, 7] = 1
    rows = operation(spot).abs().sum(dim=(0, 1, 3)).nonzero().flatten().tolist()
    assert rows == [7 + offset for offset in range(-reach, reach + 1, dilation)]


def test_convolution_by_channel_mixes_channels_only_afterwards():
    by_channel = SeparableConv(3, 3)[1]
    one = torch.zeros(1, 3, 5, 5)
    one[0, 1] = 1
    assert by_channel(one).abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist() == [1]


def test_factorized_reduce_looks_at_every_second_pixel_of_either_parity():
    reduce = FactorizedReduce(1, 2).eval()
    torch.nn.init.ones_(reduce.even.weight)
    torch.nn.init.ones_(reduce.odd.weight)
    reduce.normalisation.eps = 0.0
    x = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    assert_close(reduce(x), torch.stack([x[0, 0, ::2, ::2], x[0, 0, 1::2, 1::2]])[None])
    assert_close(reduce(-x), torch.zeros(1, 2, 2, 2))


@pytest.mark.parametrize("function", [build_operation, lambda name, c: operation_costs(name, c, 8, 8)])
def test_unknown_operation_lists_the_known_ones(function):
    with pytest.raises(UnknownNameError, match=r"'conv_9x9'.*avg_pool_3x3"):
        function("conv_9x9", 6)
