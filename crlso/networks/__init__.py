"""Networks of architectures: one module a family, each with `build` and `costs`, plus one line in `_FAMILIES`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError, unknown
from crlso.networks import darts, darts_flexible, mobile, nasbench101, nasbench201
from crlso.networks.costs import Costs
from crlso.spaces import family_of
from crlso.spaces.darts import Darts
from crlso.spaces.darts_flexible import FAMILIES
from crlso.spaces.mobile import Mobile
from crlso.spaces.nasbench101 import NasBench101
from crlso.spaces.nasbench201 import NasBench201


@runtime_checkable
class _Family(Protocol):
    def build(
        self,
        arch: Architecture,
        num_classes: int,
        input_shape: tuple[int, int, int],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> nn.Module: ...

    def costs(self, arch: Architecture, num_classes: int, input_shape: tuple[int, int, int]) -> Costs: ...


_FAMILIES: dict[str, _Family] = {
    NasBench201.name: nasbench201,
    NasBench101.name: nasbench101,
    Darts.name: darts,
    **dict.fromkeys(FAMILIES, darts_flexible),
    Mobile.name: mobile,
}

_USUAL: dict[str, tuple[int, tuple[int, int, int]]] = {Mobile.name: (1000, (3, 224, 224))}
"""Classes and images, where a family's are not those of CIFAR-10."""


def build(
    arch: Architecture,
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """A freshly initialised network of the architecture, which maps images [B, C, H, W] to logits [B, num_classes].

    A network with an auxiliary classifier (DARTS) gives a pair while in training mode: logits, and the classifier's.

    Args:
        arch: of a space whose networks are known here.
        num_classes: logits.
        input_shape: (C, H, W) of one image.
        device: where the weights go; the CPU when left out.
        dtype: of the weights; torch's default when left out.

    Raises:
        UnknownNameError: no network is known for the architecture's space.
        ProblemError: a count or a size is below one.
    """
    _check(num_classes, input_shape)
    return _family(arch).build(arch, num_classes, input_shape, device=device, dtype=dtype)


def costs(arch: Architecture, num_classes: int | None = None, input_shape: tuple[int, int, int] | None = None) -> Costs:
    """Exact costs of what `build` builds, without building it; `crlso.networks.costs` says what counts.

    Args:
        arch: of a space whose networks are known here.
        num_classes: logits; those of the space's own benchmark when left out, 10 or, for mobile networks, 1000.
        input_shape: (C, H, W) of one image; (3, 32, 32) or (3, 224, 224) when left out.

    Raises:
        UnknownNameError: no network is known for the architecture's space.
        ProblemError: a count or a size is below one.
    """
    classes, shape = _USUAL.get(arch.space, (10, (3, 32, 32)))
    num_classes = classes if num_classes is None else num_classes
    input_shape = shape if input_shape is None else input_shape
    _check(num_classes, input_shape)
    return _family(arch).costs(arch, num_classes, input_shape)


def has_networks(space: str) -> bool:
    """Whether networks, and hence costs, are known for a space's architectures."""
    return family_of(space) in _FAMILIES


def _family(arch: Architecture) -> _Family:
    if not has_networks(arch.space):
        raise unknown("space with networks", arch.space, _FAMILIES)
    return _FAMILIES[family_of(arch.space)]


def _check(num_classes: int, input_shape: tuple[int, int, int]) -> None:
    if num_classes < 1:
        raise ProblemError(f"num_classes is {num_classes}; a classifier needs at least 1")
    if min(input_shape) < 1:
        raise ProblemError(f"input_shape is {input_shape}; expected (channels, height, width), each at least 1")


__all__ = ["Costs", "build", "costs", "has_networks"]
