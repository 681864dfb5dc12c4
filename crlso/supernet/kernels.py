"""What a mixed node costs most of its time: convolutions by channel, and sums of normalised projections.

Almost every candidate operation ends in a 1×1 convolution P, batch normalisation without affine parameters, and its
architecture weight w. Of the features d that the convolution reads, with mean m and covariance S over batch and pixels,

    BN(P d) = r (P d − P m),   r = (diag(P S Pᵀ) + ε)^(−1/2),                                                    (1)

so a node's sum over operations q is one linear map of all their features,

    Σ_q w_q BN(P_q d_q) = Σ_q W_q d_q − Σ_q W_q m_q,   W_q = w_q diag(r_q) P_q.                                  (2)

`mix` computes (2) from C×C moments: neither P d, nor its normalised form, nor the weighted one is ever written to
memory or kept for the backward pass, which is given in closed form below and keeps the features alone.

`depthwise` and `phases` go around two gaps of the CPU library under torch, where the gradient of a 5×5 filter costs
five times that of a 5×3 and two 5×1 ones, and the gradients of a dilated convolution ten times those of a plain one
on every second pixel. docs/results/supernet_step.md has what that saves.

Tensors are channels-last inside: pixels [P, C] with P = B·H·W are views of images [B, C, H, W] then, and copies
otherwise. Statistics are float32 whatever autocast says.

Deviation: S is E[d dᵀ] − m mᵀ in one pass; a channel whose mean is a thousand times its deviation would lose digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-5
"""What batch normalisation adds to variances, torch's own."""

_WORTH = 8  # pixels a row from which on the gradient of a 5×5 filter is faster in parts


class Mixed(NamedTuple):
    """A node's sum and what batch normalisation has seen of each of its Q operations."""

    pixels: Float[Tensor, "P C"]
    mean: Float[Tensor, "Q C"]
    variance: Float[Tensor, "Q C"]


def pixels_of(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "P C"]:
    """One row a pixel; a view where channels come last in memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def image_of(pixels: Float[Tensor, "P C"], like: Float[Tensor, "B D H W"]) -> Float[Tensor, "B C H W"]:
    """The image, of the size of another, that those pixels make up; channels last in memory."""
    b, _, height, width = like.shape
    return pixels.view(b, height, width, -1).permute(0, 3, 1, 2)


def phases(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B4 C H2 W2"]:
    """Every second pixel of every second row, from each of the four places to begin: 4B images of half an even size."""
    b, c, height, width = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(b, height // 2, 2, width // 2, 2, c).permute(2, 4, 0, 1, 3, 5)
    return parts.reshape(4 * b, height // 2, width // 2, c).permute(0, 3, 1, 2)


def interlace(x: Float[Tensor, "B4 C H2 W2"]) -> Float[Tensor, "B C H W"]:
    """The image whose `phases` are given."""
    b, c, height, width = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(2, 2, b // 4, height, width, c).permute(2, 3, 0, 4, 1, 5)
    return parts.reshape(b // 4, 2 * height, 2 * width, c).permute(0, 3, 1, 2)


def depthwise(
    x: Float[Tensor, "B C H W"], weight: Float[Tensor, "C 1 k k"], stride: int = 1, dilation: int = 1
) -> Float[Tensor, "B C H2 W2"]:
    """Convolve each channel by itself, padded so that stride 1 keeps the size."""
    if x.device.type == "cpu" and weight.shape[-1] == 5 and stride == dilation == 1 and x.shape[-1] >= _WORTH:
        result: Tensor = _Depthwise5.apply(x, weight)  # type: ignore[no-untyped-call]
        return result
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])


class _Depthwise5(torch.autograd.Function):
    """A 5×5 convolution by channel; the gradient of its filters comes from that of their inner and outer columns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=2, groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = (tensor.to(gradient.dtype) for tensor in ctx.saved_tensors)  # narrower under autocast
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        d_x = F.conv2d(gradient, weight.flip(2, 3), padding=2, groups=x.shape[1]) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return d_x, None
        outer = [_filter_gradient(gradient, _moved(x, by), weight[..., :1]) for by in (2, -2)]
        inner = _filter_gradient(gradient, x, weight[..., :3])
        return d_x, torch.cat([outer[0], inner, outer[1]], dim=-1)


def _filter_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Gradient of filters by channel with an odd number of rows and of columns."""
    padding = tuple(side // 2 for side in weight.shape[2:])
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, (1, 1), padding, (1, 1), False, (0, 0), x.shape[1], [False, True, False]
    )[1]
    return found


def _moved(x: Float[Tensor, "B C H W"], by: int) -> Float[Tensor, "B C H W"]:
    """The image some pixels to the right, or to the left if negative, behind zeros; `F.pad` would write it twice."""
    moved = torch.empty_like(x, memory_format=torch.channels_last)
    if by > 0:
        moved[..., by:], moved[..., :by] = x[..., :-by], 0
    else:
        moved[..., :by], moved[..., by:] = x[..., -by:], 0
    return moved


def mix(
    weights: Float[Tensor, "Q"],
    projections: Float[Tensor, "Q C D"],
    features: Sequence[Float[Tensor, "P D"]],
    rectified: bool = False,
) -> Mixed:
    """Equation (2) with the batch's own statistics.

    Args:
        weights: w, one an operation.
        projections: P.
        features: d, one row a pixel; any of them may be a slice of a wider tensor.
        rectified: whether the positive part of the sum is wanted.

    Returns:
        the sum, and mean and (biased) variance of each P d, which carry no gradient.
    """
    return Mixed(*_Mix.apply(rectified, weights, projections, *features))  # type: ignore[no-untyped-call]


def mix_fixed(
    weights: Float[Tensor, "Q"],
    projections: Float[Tensor, "Q C D"],
    features: Sequence[Float[Tensor, "P D"]],
    mean: Float[Tensor, "Q C"],
    variance: Float[Tensor, "Q C"],
) -> Float[Tensor, "P C"]:
    """Equation (2) with given statistics of each P d, as evaluation uses them."""
    scale = weights[:, None] * (variance + EPS).rsqrt()
    total = -(scale * mean).sum(dim=0)
    for d, w in zip(features, scale[:, :, None] * projections, strict=True):
        total = total + d @ w.T.to(d.dtype)
    return total


class _Mix(torch.autograd.Function):
    """Equations (1) and (2), and their gradient."""

    @staticmethod
    def forward(
        ctx: Any, rectified: bool, weights: Tensor, projections: Tensor, *features: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast(features[0].device.type, enabled=False):
            count, dtype = len(features[0]), features[0].dtype
            wide = torch.promote_types(dtype, torch.float32)
            w, p = weights.to(wide), projections.to(wide)
            m = torch.stack([d.mean(dim=0, dtype=wide) for d in features])  # [Q, D]
            s = torch.stack([d.to(wide).T @ d.to(wide) for d in features]) / count - m[:, :, None] * m[:, None, :]
            ps = p @ s
            variance = (ps * p).sum(dim=2).clamp_min(0)  # [Q, C]
            r = (variance + EPS).rsqrt()
            linear = (w[:, None] * r)[:, :, None] * p  # W of (2)
            shift = -(linear @ m[:, :, None]).sum(dim=0).squeeze(1)
            narrow = linear.to(dtype)
            total = torch.addmm(shift.to(dtype), features[0], narrow[0].T)
            for d, part in zip(features[1:], narrow[1:], strict=True):
                total.addmm_(d, part.T)
            mean = (p @ m[:, :, None]).squeeze(2)
            if rectified:
                total.relu_()
        ctx.rectified = rectified
        ctx.save_for_backward(w, p, m, ps, r, *([total] if rectified else []), *features)
        ctx.mark_non_differentiable(mean, variance)
        return total, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        w, p, m, ps, r, *features = ctx.saved_tensors
        if ctx.rectified:
            gradient = torch.ops.aten.threshold_backward(gradient, features.pop(0), 0)
        with torch.autocast(gradient.device.type, enabled=False):
            count, total = len(gradient), gradient.sum(dim=0, dtype=w.dtype)
            linear = (w[:, None] * r)[:, :, None] * p
            d_linear = (
                torch.stack([(gradient.T @ d).to(w.dtype) for d in features]) - total[None, :, None] * m[:, None, :]
            )
            d_r = (d_linear * p).sum(dim=2)  # up to the factor w
            d_variance = -0.5 * w[:, None] * r.pow(3) * d_r
            d_p = (w[:, None] * r)[:, :, None] * d_linear + 2 * d_variance[:, :, None] * ps
            d_s = p.transpose(1, 2) @ (d_variance[:, :, None] * p)
            d_m = -(linear.transpose(1, 2) @ total) - 2 * (d_s @ m[:, :, None]).squeeze(2)
            narrow, curvature = (x.to(gradient.dtype) for x in (linear, d_s * (2 / count)))
            offset = (d_m / count).to(gradient.dtype)
            d_features = [
                torch.addmm(offset[q], d, curvature[q]).addmm_(gradient, narrow[q]) if wanted else None
                for q, (d, wanted) in enumerate(zip(features, ctx.needs_input_grad[3:], strict=True))
            ]
        return None, (r * d_r).sum(dim=1), d_p, *d_features


def weighted_sum(weights: Float[Tensor, "Q"], values: Sequence[Float[Tensor, "B C H W"]]) -> Float[Tensor, "B C H W"]:
    """Σ w_q v_q in one pass over each value, and none of them copied for the backward pass."""
    result: Tensor = _WeightedSum.apply(weights, *values)  # type: ignore[no-untyped-call]
    return result


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, *values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *values)
        narrow = weights.to(values[0].dtype)
        total = values[0] * narrow[0]
        for value, weight in zip(values[1:], narrow[1:], strict=True):
            total.addcmul_(value, weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, *values = ctx.saved_tensors
        # Both are channels last as a rule, so that these are views and dot writes nothing.
        flat = pixels_of(gradient).flatten()
        d_weights = torch.stack([flat @ pixels_of(value).flatten() for value in values])
        narrow = weights.to(gradient.dtype)
        return d_weights.to(weights.dtype), *(gradient * weight for weight in narrow)
