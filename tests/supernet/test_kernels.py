"""Closed forms against the operations that they stand for, values and gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from crlso.supernet.kernels import (
    depthwise,
    image_of,
    interlace,
    mix,
    mix_fixed,
    phases,
    pixels_of,
    weighted_sum,
)

GENERATOR = torch.Generator()


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=GENERATOR, dtype=dtype)


@pytest.fixture(autouse=True)
def seeded():
    GENERATOR.manual_seed(0)


def plain_mix(weights, projections, features):
    """One projection, normalisation and weight after the other."""
    return sum(
        w * F.batch_norm(d @ p.T, None, None, training=True)
        for w, p, d in zip(weights, projections, features, strict=True)
    )


@pytest.mark.parametrize("rectified", [False, True])
def test_mix_is_the_weighted_sum_of_normalised_projections_and_so_are_its_gradients(rectified):
    w, p = draw(3).requires_grad_(), draw(3, 4, 5).requires_grad_()
    features = [(draw(40, 5) + 1).requires_grad_() for _ in range(3)]
    cotangent = draw(40, 4)
    expected = plain_mix(w, p, features)
    expected = F.relu(expected) if rectified else expected
    found, mean, variance = mix(w, p, features, rectified)
    assert_close(found, expected)
    projected = torch.stack([d @ q.T for q, d in zip(p, features, strict=True)])
    assert_close(mean, projected.mean(dim=1))
    assert_close(variance, projected.var(dim=1, correction=0))
    assert not mean.requires_grad
    inputs = [w, p, *features]
    assert_close(torch.autograd.grad(found, inputs, cotangent), torch.autograd.grad(expected, inputs, cotangent))


def test_mix_agrees_with_finite_differences():
    inputs = [draw(2).requires_grad_(), draw(2, 3, 3).requires_grad_(), *(draw(7, 3).requires_grad_() for _ in "ab")]
    assert torch.autograd.gradcheck(lambda w, p, *d: mix(w, p, d).pixels, inputs)


def test_mix_with_the_batchs_statistics_given_is_mix():
    w, p, features = draw(2), draw(2, 3, 3), [draw(9, 3), draw(9, 3)]
    total, mean, variance = mix(w, p, features)
    assert_close(mix_fixed(w, p, features, mean, variance), total)


def test_mix_reads_slices_of_wider_tensors():
    wide, p = draw(30, 8), draw(2, 4, 4)
    w = draw(2)
    slices = list(wide.split(4, dim=1))
    assert_close(mix(w, p, slices).pixels, mix(w, p, [d.contiguous() for d in slices]).pixels)


def test_mix_under_autocast_keeps_statistics_in_single_precision():
    w, p, d = draw(1, dtype=torch.float32), draw(1, 4, 4, dtype=torch.float32), draw(64, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, mean, variance = mix(w, p, [d])
    exact = mix(w, p, [d.float()])
    assert (total.dtype, mean.dtype) == (torch.bfloat16, torch.float32)
    assert_close(variance, exact.variance)
    assert_close(total.float(), exact.pixels, atol=0.05, rtol=0.05)


def test_a_channel_that_never_changes_is_normalised_to_zero():
    total = mix(torch.ones(1), torch.ones(1, 2, 2), [torch.full((50, 2), 3.0)]).pixels
    assert_close(total, torch.zeros(50, 2), atol=1e-2, rtol=0)


@settings(max_examples=10)
@given(rows=st.integers(1, 9), columns=st.integers(1, 12), batch=st.integers(1, 3))
def test_the_five_by_five_gradient_is_that_of_the_plain_convolution(rows, columns, batch):
    x, weight = draw(batch, 3, rows, columns).requires_grad_(), draw(3, 1, 5, 5).requires_grad_()
    cotangent = draw(batch, 3, rows, columns)
    found, expected = depthwise(x, weight), F.conv2d(x, weight, padding=2, groups=3)
    assert_close(found, expected)
    grads = [torch.autograd.grad(y, (x, weight), cotangent) for y in (found, expected)]
    assert_close(*grads)


@pytest.mark.parametrize("side", [3, 5])
def test_a_dilated_convolution_is_a_plain_one_on_every_phase(side):
    x, weight = draw(2, 3, 8, 6), draw(3, 1, side, side)
    found = interlace(depthwise(phases(x), weight))
    assert_close(found, depthwise(x, weight, dilation=2))


@given(half_rows=st.integers(1, 4), half_columns=st.integers(1, 4))
def test_interlacing_undoes_phases(half_rows, half_columns):
    x = draw(2, 3, 2 * half_rows, 2 * half_columns)
    assert torch.equal(interlace(phases(x)), x)
    assert torch.equal(phases(x)[:2], x[:, :, ::2, ::2])


def test_pixels_of_an_image_in_channels_last_order_are_a_view():
    x = draw(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert pixels_of(x).data_ptr() == x.data_ptr()
    assert torch.equal(image_of(pixels_of(x), x), x)
    assert torch.equal(image_of(pixels_of(x.contiguous()), x), x)


def test_the_weighted_sum_and_its_gradients():
    w, values = draw(3).requires_grad_(), [draw(2, 3, 4, 5).requires_grad_() for _ in range(3)]
    cotangent = draw(2, 3, 4, 5)
    found, expected = weighted_sum(w, values), sum(a * b for a, b in zip(w, values, strict=True))
    assert_close(found, expected)
    inputs = [w, *values]
    assert_close(torch.autograd.grad(found, inputs, cotangent), torch.autograd.grad(expected, inputs, cotangent))
