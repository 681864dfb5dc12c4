"""Candidate operations of cells, by name, as modules that map [B, C, H, W] to [B, C, ⌈H/stride⌉, ⌈W/stride⌉].

The names are those of the search spaces' types, so a space finds its operations here and a supernet mixes the same
modules. A further operation is one line in `_OPERATIONS`, and one in `_COSTS` if it has weights. Those of NAS-Bench-201
follow [Dong2020]_: convolutions are ReLU-Conv-BN, and the average pool divides by the pixels it covers, not by nine.
Those of NAS-Bench-101 [Ying2019]_ are Conv-BN-ReLU. Those of DARTS [Liu2019]_ add separable convolutions, which apply
ReLU, a convolution by channel, one by pixel and BN twice, dilated ones, which do so once and look at every second
pixel, and a skip that reduces; pools have no BN, as in the networks that DARTS trains from scratch, unless it is asked
for, as in those that it searches in.

Deviation: the reducing skip rounds odd image sizes up, as the other operations do; DARTS' own fails on them.

.. [Dong2020] X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
   ICLR 2020.
.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
.. [Ying2019] C. Ying et al. NAS-Bench-101: Towards Reproducible Neural Architecture Search. ICML 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import unknown
from crlso.networks.costs import Costs, batch_norm, convolution


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch normalisation; an odd kernel at stride 1 keeps the image's size."""

    def __init__(self, c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(c_out),
        )


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; an odd kernel at stride 1 keeps the image's size."""

    def __init__(self, c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        )


class SeparableConv(nn.Sequential):
    """ReLU, a convolution of each channel by itself, a 1×1 convolution, batch normalisation."""

    def __init__(self, channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size, stride, padding, dilation, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class FactorizedReduce(nn.Module):
    """ReLU and two 1×1 convolutions, one on the pixels at even places and one on those at odd places, and BN."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride=2, bias=False)
        self.normalisation = nn.BatchNorm2d(c_out)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        x = F.relu(x)
        shifted = F.pad(x, (-1, 1, -1, 1))  # a further row and column of zeros, which only odd sizes look at
        normalised: Tensor = self.normalisation(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return normalised


class Zero(nn.Module):
    """Contributes nothing, and passes no gradient back, whatever comes in."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


_OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "none": lambda _, stride: Zero(stride),
    "skip_connect": lambda c, stride: nn.Identity() if stride == 1 else FactorizedReduce(c, c),
    "nor_conv_1x1": lambda c, stride: ReLUConvBN(c, c, 1, stride),
    "nor_conv_3x3": lambda c, stride: ReLUConvBN(c, c, 3, stride),
    "avg_pool_3x3": lambda _, stride: nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
    "max_pool_3x3": lambda _, stride: nn.MaxPool2d(3, stride, padding=1),
    "sep_conv_3x3": lambda c, stride: nn.Sequential(SeparableConv(c, 3, stride), SeparableConv(c, 3)),
    "sep_conv_5x5": lambda c, stride: nn.Sequential(SeparableConv(c, 5, stride), SeparableConv(c, 5)),
    "dil_conv_3x3": lambda c, stride: SeparableConv(c, 3, stride, dilation=2),
    "dil_conv_5x5": lambda c, stride: SeparableConv(c, 5, stride, dilation=2),
    "conv1x1-bn-relu": lambda c, stride: ConvBNReLU(c, c, 1, stride),
    "conv3x3-bn-relu": lambda c, stride: ConvBNReLU(c, c, 3, stride),
    "maxpool3x3": lambda _, stride: nn.MaxPool2d(3, stride, padding=1),
}

_COSTS: dict[str, Callable[[int, int, int, int], Costs]] = {
    "skip_connect": lambda c, stride, h, w: Costs(0, 0) if stride == 1 else convolution_bn(c, c, 1, h, w),
    "nor_conv_1x1": lambda c, _, h, w: convolution_bn(c, c, 1, h, w),
    "nor_conv_3x3": lambda c, _, h, w: convolution_bn(c, c, 3, h, w),
    "sep_conv_3x3": lambda c, _, h, w: _separable(c, 3, h, w) * 2,
    "sep_conv_5x5": lambda c, _, h, w: _separable(c, 5, h, w) * 2,
    "dil_conv_3x3": lambda c, _, h, w: _separable(c, 3, h, w),
    "dil_conv_5x5": lambda c, _, h, w: _separable(c, 5, h, w),
    "conv1x1-bn-relu": lambda c, _, h, w: convolution_bn(c, c, 1, h, w),
    "conv3x3-bn-relu": lambda c, _, h, w: convolution_bn(c, c, 3, h, w),
}


def build_operation(name: str, channels: int, stride: int = 1, *, normalise_pools: bool = False) -> nn.Module:
    """A fresh operation on images of that many channels.

    Args:
        name: of the operation.
        channels: of what it reads and gives.
        stride: pixels that it moves on.
        normalise_pools: whether batch normalisation without weights and biases follows if it is a pool.

    Raises:
        UnknownNameError: no operation has that name; the message lists the known ones.
    """
    if name not in _OPERATIONS:
        raise unknown("operation", name, _OPERATIONS)
    module = _OPERATIONS[name](channels, stride)
    if normalise_pools and isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
        return nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))
    return module


def operation_costs(name: str, channels: int, height: int, width: int, stride: int = 1) -> Costs:
    """Costs of an operation whose *output* has that height and width in pixels.

    Raises:
        UnknownNameError: no operation has that name; the message lists the known ones.
    """
    if name not in _OPERATIONS:
        raise unknown("operation", name, _OPERATIONS)
    return _COSTS[name](channels, stride, height, width) if name in _COSTS else Costs(0, 0)


def convolution_bn(c_in: int, c_out: int, kernel_size: int, height: int, width: int) -> Costs:
    """Costs of a convolution with batch normalisation, by its output's height and width in pixels."""
    return convolution(c_in, c_out, kernel_size, height, width) + batch_norm(c_out)


def _separable(channels: int, kernel_size: int, height: int, width: int) -> Costs:
    return convolution(1, channels, kernel_size, height, width) + convolution_bn(channels, channels, 1, height, width)
