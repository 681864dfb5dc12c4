"""K instances of one candidate operation, executed together: what a cell's nodes read from the nodes before them.

Parameters are stacked over instances, [K, …], so that the death of some is a slice. What depends on the source alone is
computed once a source: ReLU, pools, every second pixel. Accelerators, where launching a call is what costs, run the
convolutions by channel of several instances as one call on stacked channels. A CPU gains nothing by that: stacking
copies every source once more, and at batch 64 no call is too small (measured: the same time within noise, at twice the
memory), so there each instance reads the shared source in place.

An instance does not compute its own output: it says what a node has to add up, either an image or a normalised
projection of features, and `combine` adds up all that enters a node at once
(`crlso.supernet.outcomes`).

As in the search of DARTS [Liu2019]_, batch normalisations have no affine parameters, which the architecture weights
would undo, and pools are followed by one; `build_candidate` builds the module that an instance is equal to.

.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from crlso.exceptions import unknown
from crlso.networks.operations import build_operation
from crlso.supernet.kernels import EPS, depthwise
from crlso.supernet.outcomes import Outcome, Projected, Source, combine, project

MOMENTUM = 0.1
"""Share of the newest batch in running statistics, torch's own."""

_Module = TypeVar("_Module", bound=nn.Module)


class Change(NamedTuple):
    """A parameter that lost rows of its first dimension: what it was, what it is, and which rows are left."""

    before: nn.Parameter
    after: nn.Parameter | None
    rows: tuple[int, ...]


class Running(nn.Module):
    """Stacked running means and variances."""

    mean: Tensor
    variance: Tensor

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(count, channels))
        self.register_buffer("variance", torch.ones(count, channels))


class ParallelOperation(nn.Module):
    """K instances of an operation at one stride.

    Attributes:
        name: of the operation.
        stride: 1 or 2.
        sources: number of the source that each instance reads.
        momentum: share of the newest batch in running statistics; 0 leaves them as they are.
    """

    def __init__(self, name: str, channels: int, stride: int, sources: Sequence[int]) -> None:
        super().__init__()
        self.name, self.channels, self.stride = name, channels, stride
        self.sources = tuple(sources)
        self.momentum = MOMENTUM

    def outcomes(self, sources: Sequence[Source], rows: Sequence[int]) -> Sequence[Outcome]:
        """What each of some instances brings to the node that it enters."""
        raise NotImplementedError

    def forward(self, sources: Sequence[Float[Tensor, "B C H W"]]) -> Float[Tensor, "B K C H2 W2"]:
        """The output of every instance by itself."""
        found = self.outcomes([Source(x) for x in sources], range(len(self.sources)))
        one = sources[0].new_ones(())
        return torch.stack([combine([one], [outcome], self.training, self.momentum) for outcome in found], dim=1)

    def filters(self) -> list[nn.Parameter]:
        """Stacked filters of the convolutions, in the order of the stand-alone module's."""
        return []

    def statistics(self) -> list[Running]:
        """Stacked running means and variances, in the order of the stand-alone module's normalisations."""
        return []

    def place(self, row: int) -> int:
        """Row of the statistics that an instance uses."""
        return row

    def keep(self, rows: Sequence[int]) -> list[Change]:
        """Let all but some instances die; parameters are new ones afterwards."""
        changes = []
        for module in self.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                after = nn.Parameter(parameter.detach()[list(rows)].clone(), parameter.requires_grad)
                if parameter.grad is not None:
                    after.grad = parameter.grad[list(rows)].clone()
                setattr(module, name, after)
                changes.append(Change(parameter, after, tuple(rows)))
        self._keep_statistics(rows)
        self.sources = tuple(self.sources[row] for row in rows)
        return changes

    def _keep_statistics(self, rows: Sequence[int]) -> None:
        for module in self.modules():
            for name, buffer in list(module.named_buffers(recurse=False)):
                setattr(module, name, buffer[list(rows)].clone())

    def export_to(self, row: int, module: nn.Module) -> None:
        """Write an instance's filters and running statistics into a stand-alone module of `build_candidate`.

        One of `build_operation` serves as well: its normalisation becomes plain, and the one behind pools is left out.
        """
        for own, alone in self._tensors(row, module):
            alone.copy_(own.view_as(alone))
        for normalisation in _children(module, nn.BatchNorm2d):
            if normalisation.affine:
                nn.init.ones_(normalisation.weight)
                nn.init.zeros_(normalisation.bias)

    def load_from(self, row: int, module: nn.Module) -> None:
        """Read an instance's filters and running statistics from a stand-alone module."""
        for own, alone in self._tensors(row, module):
            own.copy_(alone.view_as(own))

    def _tensors(self, row: int, module: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        """The instance's tensors beside the module's."""
        for own, convolution in zip(self.filters(), _children(module, nn.Conv2d), strict=True):
            yield own.detach()[row], convolution.weight.detach()
        # A pool of `build_operation` has no normalisation.
        for running, normalisation in zip(
            self.statistics(), _children(module, nn.BatchNorm2d), strict=bool(self.filters())
        ):
            yield running.mean[self.place(row)], cast(Tensor, normalisation.running_mean)
            yield running.variance[self.place(row)], cast(Tensor, normalisation.running_var)


class _Stage(nn.Module):
    """Stacked filters by channel, where there are any, projections and running statistics of what they bring."""

    def __init__(self, count: int, channels: int, kernel_size: int | None) -> None:
        super().__init__()
        self.depthwise = None if kernel_size is None else _filters(count, channels, 1, kernel_size, kernel_size)
        self.projection = _filters(count, channels, channels)
        self.running = Running(count, channels)

    def convolve(
        self, images: Sequence[Float[Tensor, "B C H W"]], rows: Sequence[int], stride: int, dilation: int
    ) -> list[Tensor]:
        """Each image by the filters of its row."""
        if self.depthwise is None:
            return list(images)
        filters = self.depthwise.unbind()
        if not stacks(images[0].device):
            return [depthwise(x, filters[row], stride, dilation) for x, row in zip(images, rows, strict=True)]
        weight = torch.cat([filters[row] for row in rows])
        convolved = depthwise(torch.cat(list(images), dim=1), weight, stride, dilation)
        return list(convolved.split(images[0].shape[1], dim=1))

    def projected(self, features: Sequence[Tensor], rows: Sequence[int], phased: bool = False) -> list[Projected]:
        projections = self.projection.unbind()
        return [
            Projected(d, projections[row], self.running.mean[row], self.running.variance[row], phased)
            for d, row in zip(features, rows, strict=True)
        ]


class _Separable(ParallelOperation):
    """ReLU, convolution by channel, projection, normalisation, once or twice; without the first a 1×1 convolution."""

    def __init__(
        self, name: str, channels: int, stride: int, sources: Sequence[int], kernel_size: int | None, dilation: int
    ) -> None:
        super().__init__(name, channels, stride, sources)
        self.dilation = dilation
        count = 2 if name.startswith("sep") else 1
        self.stages = nn.ModuleList(_Stage(len(self.sources), channels, kernel_size) for _ in range(count))

    def _stages(self) -> list[_Stage]:
        return cast(list[_Stage], list(self.stages))

    def outcomes(self, sources: Sequence[Source], rows: Sequence[int]) -> Sequence[Outcome]:
        first, *further = self._stages()
        read = [sources[self.sources[row]] for row in rows]
        stride, dilation, phased = self.stride, self.dilation, False
        if stride == 2 and (dilation == 2 or first.depthwise is None):
            # Neither looks between every second pixel, and there it is a plain convolution.
            images, stride, dilation = [source.sparse for source in read], 1, 1
        elif dilation == 2 and read[0].in_phases:
            images, dilation, phased = [source.phases for source in read], 1, True
        else:
            images = [source.positive for source in read]
        terms = first.projected(first.convolve(images, rows, stride, dilation), rows, phased)
        for stage in further:
            one = images[0].new_ones(())
            images = [project([(one, term)], self.training, self.momentum, rectified=True) for term in terms]
            terms = stage.projected(stage.convolve(images, rows, 1, 1), rows)
        return terms

    def filters(self) -> list[nn.Parameter]:
        return [p for stage in self._stages() for p in (stage.depthwise, stage.projection) if p is not None]

    def statistics(self) -> list[Running]:
        return [stage.running for stage in self._stages()]


class _FactorizedReduction(ParallelOperation):
    """ReLU and a projection of even pixels beside one of odd pixels, as `FactorizedReduce`."""

    def __init__(self, name: str, channels: int, stride: int, sources: Sequence[int]) -> None:
        super().__init__(name, channels, stride, sources)
        count = len(self.sources)
        self.even = _filters(count, channels // 2, channels)
        self.odd = _filters(count, channels - channels // 2, channels)
        self.running = Running(count, channels)

    def outcomes(self, sources: Sequence[Source], rows: Sequence[int]) -> Sequence[Outcome]:
        c = self.channels
        projections = torch.cat([F.pad(self.even, (0, c)), F.pad(self.odd, (c, 0))], dim=1).unbind()
        return [
            Projected(
                sources[self.sources[r]].halved, projections[r], self.running.mean[r], self.running.variance[r], False
            )
            for r in rows
        ]

    def filters(self) -> list[nn.Parameter]:
        return [self.even, self.odd]

    def statistics(self) -> list[Running]:
        return [self.running]


class _Convolution(ParallelOperation):
    """ReLU, a dense 3×3 convolution, normalisation: an unprojected normalisation is one projected by the identity."""

    def __init__(self, name: str, channels: int, stride: int, sources: Sequence[int]) -> None:
        super().__init__(name, channels, stride, sources)
        count = len(self.sources)
        self.dense = _filters(count, channels, channels, 3, 3)
        self.running = Running(count, channels)

    def outcomes(self, sources: Sequence[Source], rows: Sequence[int]) -> Sequence[Outcome]:
        filters, identity = self.dense.unbind(), torch.eye(self.channels, device=self.dense.device)
        images = [F.conv2d(sources[self.sources[r]].positive, filters[r], None, self.stride, 1) for r in rows]
        return [
            Projected(d, identity, self.running.mean[r], self.running.variance[r], False)
            for d, r in zip(images, rows, strict=True)
        ]

    def filters(self) -> list[nn.Parameter]:
        return [self.dense]

    def statistics(self) -> list[Running]:
        return [self.running]


class _Pool(ParallelOperation):
    """A pool and a normalisation, the same for all that read one source, so computed once a source."""

    def __init__(self, name: str, channels: int, stride: int, sources: Sequence[int]) -> None:
        super().__init__(name, channels, stride, sources)
        self.pool = build_operation(name, channels, stride)
        count = len(set(self.sources))
        self.running = Running(count, channels)

    def outcomes(self, sources: Sequence[Source], rows: Sequence[int]) -> Sequence[Outcome]:
        pooled: dict[int, Tensor] = {}
        for row in rows:
            if (source := self.sources[row]) not in pooled:
                place = self.place(row)
                image = self.pool(sources[source].x)
                mean, variance = self.running.mean[place], self.running.variance[place]
                pooled[source] = F.batch_norm(image, mean, variance, None, None, self.training, self.momentum, EPS)
        return [pooled[self.sources[row]] for row in rows]

    def statistics(self) -> list[Running]:
        return [self.running]

    def place(self, row: int) -> int:
        return sorted(set(self.sources)).index(self.sources[row])

    def _keep_statistics(self, rows: Sequence[int]) -> None:
        super()._keep_statistics(sorted({self.place(row) for row in rows}))


class _Skip(ParallelOperation):
    """The sources as they are."""

    def outcomes(self, sources: Sequence[Source], rows: Sequence[int]) -> Sequence[Outcome]:
        return [sources[self.sources[row]].x for row in rows]


_SEPARABLE = {  # side of the filters by channel, and dilation
    "sep_conv_3x3": (3, 1),
    "sep_conv_5x5": (5, 1),
    "dil_conv_3x3": (3, 2),
    "dil_conv_5x5": (5, 2),
    "nor_conv_1x1": (None, 1),
}
_OTHER = {"max_pool_3x3": _Pool, "avg_pool_3x3": _Pool, "nor_conv_3x3": _Convolution}
OPERATIONS = ("skip_connect", *_OTHER, *_SEPARABLE)
"""Names of the operations that a supernet can mix; "none" is an absent one there."""


def build_parallel(name: str, channels: int, stride: int, sources: Sequence[int]) -> ParallelOperation:
    """Fresh instances of an operation, one for each entry of `sources`.

    Raises:
        UnknownNameError: no supernet can mix that operation.
    """
    if name == "skip_connect":
        return (_Skip if stride == 1 else _FactorizedReduction)(name, channels, stride, sources)
    if name in _OTHER:
        return _OTHER[name](name, channels, stride, sources)
    if name in _SEPARABLE:
        return _Separable(name, channels, stride, sources, *_SEPARABLE[name])
    raise unknown("operation of a supernet", name, OPERATIONS)


def build_candidate(name: str, channels: int, stride: int = 1) -> nn.Module:
    """The stand-alone module that an instance equals: normalisation without affine parameters, one behind pools too."""
    return without_affine(build_operation(name, channels, stride, normalise_pools=True))


def without_affine(module: nn.Module) -> nn.Module:
    """The module, its normalisations without weights and biases."""
    for normalisation in _children(module, nn.BatchNorm2d):
        normalisation.affine = False
        normalisation.register_parameter("weight", None)
        normalisation.register_parameter("bias", None)
    return module


def stacks(device: torch.device) -> bool:
    """Whether several instances' convolutions run as one call on stacked channels there."""
    return device.type != "cpu"


def _children(module: nn.Module, kind: type[_Module]) -> list[_Module]:
    return [child for child in module.modules() if isinstance(child, kind)]


def _filters(count: int, *shape: int) -> nn.Parameter:
    """Stacked filters, drawn as torch draws those of convolutions."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return nn.Parameter(torch.empty(count, *shape).uniform_(-bound, bound))
