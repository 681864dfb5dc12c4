"""Candidate operations of cells, by name, as modules that map [B, C, H, W] to [B, C, H, W].

The names are the edge types of the search spaces, so a space finds its operations here and a supernet mixes the
same modules. A further operation is one line in `_OPERATIONS`. Those of NAS-Bench-201 follow [Dong2020]_:
convolutions are ReLU-Conv-BN, and the average pool divides by the pixels it covers, not by nine.

.. [Dong2020] X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
   ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import unknown


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch normalisation; an odd kernel at stride 1 keeps the image's size."""

    def __init__(self, c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(c_out),
        )


class Zero(nn.Module):
    """Contributes nothing, and passes no gradient back, whatever comes in."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return torch.zeros_like(x)


_OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _: Zero(),
    "skip_connect": lambda _: nn.Identity(),
    "nor_conv_1x1": lambda channels: ReLUConvBN(channels, channels, 1),
    "nor_conv_3x3": lambda channels: ReLUConvBN(channels, channels, 3),
    "avg_pool_3x3": lambda _: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
}


def build_operation(name: str, channels: int) -> nn.Module:
    """A fresh operation on images of that many channels.

    Raises:
        UnknownNameError: no operation has that name; the message lists the known ones.
    """
    if name not in _OPERATIONS:
        raise unknown("operation", name, _OPERATIONS)
    return _OPERATIONS[name](channels)
