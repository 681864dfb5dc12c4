r"""What do the kernels of a supernet save on a CPU, beside the operations of torch that they stand for?

Forward and backward pass of one operation on images [64, 16, 32, 32] in channels-last order, one thread: a 5×5
convolution by channel, dilated ones directly and by phases (cutting up and putting together included), and eight
projections that are normalised, weighted and added, one after the other and in one map. Figures are medians of CPU
milliseconds. A process this small keeps giving memory back to the system and faulting it in again; the variables keep
glibc from doing so, that kernels be measured and not page faults.

    export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647
    python benchmarks/supernet_kernels.py --out docs/results/supernet_kernels.json
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from report import print_table, save
from torch import Tensor

from crlso.supernet.kernels import depthwise, image_of, interlace, mix, phases, pixels_of

SHAPE, TERMS = (64, 16, 32, 32), 8


def measure(compute: Callable[[], Tensor], inputs: list[Tensor], repeats: int) -> float:
    """Median CPU milliseconds of a forward and backward pass."""
    cotangent = torch.randn(SHAPE).contiguous(memory_format=torch.channels_last)
    found = []
    for _ in range(repeats + 2):  # the first two warm up
        began = time.process_time()
        torch.autograd.grad(compute(), inputs, cotangent)
        found.append(1e3 * (time.process_time() - began))
    return statistics.median(found[2:])


def image() -> Tensor:
    """A random image that wants a gradient."""
    return torch.randn(SHAPE).contiguous(memory_format=torch.channels_last).requires_grad_()


def convolutions(side: int, dilation: int) -> tuple[Callable[[], Tensor], Callable[[], Tensor], list[Tensor]]:
    """A convolution by channel as torch has it, ours, and what both read."""
    x, weight = image(), torch.randn(SHAPE[1], 1, side, side, requires_grad=True)
    padding = dilation * (side // 2)

    def theirs() -> Tensor:
        return F.conv2d(x, weight, None, 1, padding, dilation, groups=SHAPE[1])

    def ours() -> Tensor:
        return depthwise(x, weight) if dilation == 1 else interlace(depthwise(phases(x), weight))

    return theirs, ours, [x, weight]


def projections() -> tuple[Callable[[], Tensor], Callable[[], Tensor], list[Tensor]]:
    """Projections one after the other, in one map, and what both read."""
    images = [image() for _ in range(TERMS)]
    weights = torch.rand(TERMS, requires_grad=True)
    filters = torch.randn(TERMS, SHAPE[1], SHAPE[1], requires_grad=True)

    def theirs() -> Tensor:
        total: Tensor | None = None
        for x, w, p in zip(images, weights, filters, strict=True):
            term = w * F.batch_norm(F.conv2d(x, p[:, :, None, None]), None, None, training=True)
            total = term if total is None else total + term
        assert total is not None
        return total

    def ours() -> Tensor:
        return image_of(mix(weights, filters, [pixels_of(x) for x in images]).pixels, images[0])

    return theirs, ours, [weights, filters, *images]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cases = {
        "5×5 by channel": convolutions(5, 1),
        "3×3 by channel, dilated": convolutions(3, 2),
        "5×5 by channel, dilated": convolutions(5, 2),
        f"{TERMS} normalised projections": projections(),
    }
    runs = []
    for name, (theirs, ours, inputs) in cases.items():
        torch_ms, ours_ms = (measure(compute, inputs, args.repeats) for compute in (theirs, ours))
        runs.append({"operation": name, "torch_ms": torch_ms, "ours_ms": ours_ms, "ratio": torch_ms / ours_ms})
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), runs)
    print_table(("operation", "torch, ms", "ours, ms", "ratio"), [tuple(run.values()) for run in runs])


if __name__ == "__main__":
    main()
