"""The networks of the mobile space, as Accel-NASBench [Ahmad2024]_ trains them on ImageNet, and their costs.

A 3×3 convolution to 32 channels that halves the image, seven blocks of EfficientNet-B0's [Tan2019]_ widths and strides,
a 1×1 convolution to 1280 channels, global average pooling and a linear layer. A block repeats inverted residuals
[Sandler2018]_: a 1×1 convolution to e times the channels (none for e = 1), one by channel with kernel k, optionally
squeeze-excite [Hu2018]_ down to a quarter of the channels that came in, and a 1×1 convolution without activation; the
first of a block may halve the image, the others add what came in.

The benchmark's parameters are exactly `costs(...).params` in all 5,138 rows. Its multiply-adds are larger than
`costs(...).flops` by 10 % at the median because its counter adds four for each number that goes through a batch
normalisation, and the additions and the division of global pools; with these the two agree to the last digit
(benchmarks/mobile_costs.py). Not in the table, hence not verified: the activation, which is EfficientNet's here (SiLU).

.. [Ahmad2024] A. Ahmad et al. Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS. DAC 2024.
.. [Hu2018] J. Hu, L. Shen, G. Sun. Squeeze-and-Excitation Networks. CVPR 2018.
.. [Sandler2018] M. Sandler et al. MobileNetV2: Inverted Residuals and Linear Bottlenecks. CVPR 2018.
.. [Tan2019] M. Tan, Q. V. Le. EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.networks.costs import Costs, batch_norm, convolution, linear

STEM, HEAD = 32, 1280
"""Channels before the first block and after the last."""

WIDTHS = (16, 24, 40, 80, 112, 192, 320)
"""Channels of the blocks."""

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first layer of each block."""

_SQUEEZE = 4  # channels that come into a layer, over those of its squeeze


@dataclass(frozen=True)
class Layer:
    """One inverted residual.

    Attributes:
        c_in: channels that come in.
        c_out: channels that leave.
        expansion: of the channels in between over those that come in.
        kernel_size: of the convolution by channel.
        stride: of the same.
        excite: whether it has squeeze-excite.
    """

    c_in: int
    c_out: int
    expansion: int
    kernel_size: int
    stride: int
    excite: bool

    @property
    def inner(self) -> int:
        """Channels in between."""
        return self.c_in * self.expansion


def layers_of(arch: Architecture) -> Iterator[Layer]:
    """The inverted residuals of a network in their order."""
    c_in = STEM
    for text, width, stride in zip(arch.text.split("|"), WIDTHS, STRIDES, strict=True):
        expansion, kernel_size, repeats, excite = map(int, re.findall(r"\d", text))
        for repeat in range(repeats):
            yield Layer(c_in, width, expansion, kernel_size, 1 if repeat else stride, bool(excite))
            c_in = width


class ConvBN(nn.Sequential):
    """Convolution without bias and batch normalisation; an odd kernel divides the image's size by the stride alone."""

    def __init__(self, c_in: int, c_out: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c_out),
        )


class SqueezeExcite(nn.Module):
    """Scales each channel by a number between 0 and 1 that depends on the means of all."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.SiLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        scaled: Tensor = x * self.gate(x)
        return scaled


class InvertedResidual(nn.Module):
    """One layer of a block: [B, C, H, W] to [B, C', ⌈H/stride⌉, ⌈W/stride⌉]."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        inner = layer.inner
        expand = [ConvBN(layer.c_in, inner, 1), nn.SiLU()] if layer.expansion > 1 else []
        excite = [SqueezeExcite(inner, layer.c_in // _SQUEEZE)] if layer.excite else []
        self.body = nn.Sequential(
            *expand,
            ConvBN(inner, inner, layer.kernel_size, layer.stride, groups=inner),
            nn.SiLU(),
            *excite,
            ConvBN(inner, layer.c_out, 1),
        )
        self.residual = layer.stride == 1 and layer.c_in == layer.c_out

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.residual else out


class MobileNetwork(nn.Sequential):
    """From images [B, C, H, W] to logits [B, num_classes]; a sequence of `stem`, `layers` and `head`."""

    def __init__(self, arch: Architecture, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBN(in_channels, STEM, 3, stride=2), nn.SiLU())
        self.layers = nn.Sequential(*map(InvertedResidual, layers_of(arch)))
        self.head = nn.Sequential(
            ConvBN(WIDTHS[-1], HEAD, 1),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(HEAD, num_classes),
        )


def build(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """The benchmark's network of a chain, freshly initialised on the CPU and then moved."""
    return MobileNetwork(arch, num_classes, input_shape[0]).to(device=device, dtype=dtype)


def costs(arch: Architecture, num_classes: int, input_shape: tuple[int, int, int]) -> Costs:
    """Exact costs of the network."""
    in_channels, height, width = input_shape
    height, width = (height + 1) // 2, (width + 1) // 2
    total = convolution(in_channels, STEM, 3, height, width) + batch_norm(STEM)
    for layer in layers_of(arch):
        total += _layer_costs(layer, height, width)
        height, width = -(-height // layer.stride), -(-width // layer.stride)
    head = convolution(WIDTHS[-1], HEAD, 1, height, width) + batch_norm(HEAD) + linear(HEAD, num_classes)
    return total + head


@lru_cache(maxsize=4096)
def _layer_costs(layer: Layer, height: int, width: int) -> Costs:
    """Of a layer whose *input* has that height and width in pixels."""
    inner, squeezed = layer.inner, layer.c_in // _SQUEEZE
    total = Costs(0, 0)
    if layer.expansion > 1:
        total += convolution(layer.c_in, inner, 1, height, width) + batch_norm(inner)
    height, width = -(-height // layer.stride), -(-width // layer.stride)
    total += convolution(1, inner, layer.kernel_size, height, width) + batch_norm(inner)
    if layer.excite:
        total += convolution(inner, squeezed, 1, 1, 1) + convolution(squeezed, inner, 1, 1, 1)
        total += Costs(squeezed + inner, 0)  # these two have biases
    return total + convolution(inner, layer.c_out, 1, height, width) + batch_norm(layer.c_out)
