"""What each candidate operation does to an image."""

import pytest
import torch
from torch.testing import assert_close

from crlso.exceptions import UnknownNameError
from crlso.networks.operations import ReLUConvBN, build_operation
from crlso.spaces import get_space

IMAGES = torch.randn(4, 6, 7, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", get_space("nasbench201").schema.edge_types)
def test_every_edge_type_keeps_the_shape(name):
    assert build_operation(name, 6)(IMAGES).shape == IMAGES.shape


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


def test_unknown_operation_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'conv_9x9'.*avg_pool_3x3"):
        build_operation("conv_9x9", 6)
