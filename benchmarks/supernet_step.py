"""What does a training step of a supernet cost, beside a loop over its operations, and what do dead pairs save?

One step is forward pass, backward pass and optimiser (SGD with momentum) on random images of CIFAR's size. The loop is
the same network as one would write it down: a module for every pair, called one after the other, its output weighted
and added. It runs in torch's own order of memory and in channels-last order. All forms are measured in turns in one
process; a figure is the median of the process's CPU seconds, which on one thread are wall-clock seconds of an idle
machine. Peak memory is the maximum resident set of a process that does two steps of one form, less that of a process
that has only built it (Linux); `estimate_mb` is what `memory_estimate` announces.

    python benchmarks/supernet_step.py --out docs/results/supernet_step.json
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from report import print_table, save
from torch import Tensor, nn

from crlso.networks.darts import STEM, Place, places
from crlso.networks.operations import FactorizedReduce, ReLUConvBN
from crlso.spaces.darts import NODES
from crlso.supernet.cell import triples
from crlso.supernet.memory import memory_estimate
from crlso.supernet.network import FlexibleSupernet
from crlso.supernet.parallel import build_candidate, without_affine

OPERATION_SETS = {
    "7 operations": (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    "3 operations": ("sep_conv_3x3", "skip_connect", "dil_conv_5x5"),
}
SHARES = {"all": 1.0, "half": 0.5, "quarter": 0.25}
FORMS = ("parallel", "loop", "loop, channels last")
CLASSES, SHAPE = 10, (3, 32, 32)


class LoopCell(nn.Module):
    """A module a pair, one after the other."""

    def __init__(self, operations: Sequence[str], place: Place) -> None:
        super().__init__()
        channels = place.channels
        first = (
            FactorizedReduce(place.c_before_last, channels)
            if place.after_reduction
            else ReLUConvBN(place.c_before_last, channels, 1)
        )
        self.preprocess = nn.ModuleList(
            without_affine(module) for module in (first, ReLUConvBN(place.c_last, channels, 1))
        )
        self.triples = triples(operations)
        self.pairs = nn.ModuleDict(
            {
                str(number): build_candidate(name, channels, 2 if place.reduces and source < 2 else 1)
                for number, (_, source, name) in enumerate(self.triples)
            }
        )

    def forward(self, before_last: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        """The concatenated nodes."""
        values = [preprocess(x) for preprocess, x in zip(self.preprocess, (before_last, last), strict=True)]
        for node in range(2, 2 + NODES):
            total: Tensor | None = None
            for key, operation in self.pairs.items():
                triple = self.triples[int(key)]
                if triple.node == node:
                    term = weights[int(key)] * operation(values[triple.source])
                    total = term if total is None else total + term
            values.append(total)
        return torch.cat(values[2:], dim=1)


class LoopSupernet(nn.Module):
    """The network of `FlexibleSupernet`, without anything clever."""

    def __init__(self, operations: Sequence[str], width: int, cells: int) -> None:
        super().__init__()
        stack = places(width, cells)
        self.stem = nn.Sequential(
            nn.Conv2d(SHAPE[0], STEM * width, 3, padding=1, bias=False), nn.BatchNorm2d(STEM * width)
        )
        self.cells = nn.ModuleList(LoopCell(operations, place) for place in stack)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(NODES * stack[-1].channels, CLASSES))

    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Logits."""
        before_last = last = self.stem(x)
        for cell, w in zip(self.cells, weights, strict=True):
            before_last, last = last, cell(before_last, last, w)
        logits: Tensor = self.head(last)
        return logits

    def kill(self, cell: int, numbers: Sequence[int]) -> None:
        """Remove pairs, whose modules go."""
        for number in numbers:
            del self.cells[cell].pairs[str(number)]


def dying(operations: Sequence[str], cells: int, share: float) -> list[list[int]]:
    """Random pairs of every cell of which that share survives, at least one a node."""
    rng, found = random.Random(0), []
    everything = triples(operations)
    for _ in range(cells):
        survivors = {
            rng.choice([number for number, triple in enumerate(everything) if triple.node == node])
            for node in range(2, 2 + NODES)
        }
        others = [number for number in range(len(everything)) if number not in survivors]
        survivors.update(rng.sample(others, round(share * len(everything)) - len(survivors)))
        found.append([number for number in range(len(everything)) if number not in survivors])
    return found


def prepare(form: str, operations: Sequence[str], share: float, args: argparse.Namespace) -> Callable[[], None]:
    """A function that does one training step."""
    torch.manual_seed(0)
    network: FlexibleSupernet | LoopSupernet
    if form == "parallel":
        network = FlexibleSupernet(operations, CLASSES, SHAPE, width=args.width, cells=args.cells)
    else:
        network = LoopSupernet(operations, args.width, args.cells)
    for cell, numbers in enumerate(dying(operations, args.cells, share)):
        network.kill(cell, numbers)
    count = len(triples(operations))
    weights = [torch.full((count,), 1 / len(operations), requires_grad=True) for _ in range(args.cells)]
    x, y = torch.randn(args.batch, *SHAPE), torch.randint(CLASSES, (args.batch,))
    if form == "loop, channels last":
        network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD([*network.parameters(), *weights], 0.025, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(x, weights), y).backward()
        optimizer.step()

    return step


def measure_times(operations: Sequence[str], args: argparse.Namespace) -> dict[str, float]:
    """Median CPU seconds of a step for every form and share of living pairs."""
    steps = {
        f"{form} {name}": prepare(form, operations, share, args)
        for form in FORMS
        for name, share in SHARES.items()
        if form in args.forms
    }
    seconds: dict[str, list[float]] = {key: [] for key in steps}
    for repeat in range(args.repeats + 1):  # the first round warms up
        for key, step in steps.items():
            began = time.process_time()
            step()
            if repeat:
                seconds[key].append(time.process_time() - began)
    return {key: statistics.median(found) for key, found in seconds.items()}


def measure_memory(form: str, set_name: str, name: str, args: argparse.Namespace) -> float:
    """Megabytes that steps take beyond what has been built."""
    peaks = []
    for count in (0, 2):
        command = [sys.executable, __file__, "--child", form, set_name, name, str(count)]
        options = ["--batch", args.batch, "--width", args.width, "--cells", args.cells, "--threads", args.threads]
        done = subprocess.run([*command, *map(str, options)], check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout))
    return peaks[1] - peaks[0]


def measure_memories(set_name: str, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Megabytes by form and share of living pairs; of the loops, which take long, with all pairs alone."""
    found = {}
    for form in args.forms:
        for name in SHARES:
            if form == "parallel" or name == "all":
                found[f"{form} {name}"] = {"peak_mb": measure_memory(form, set_name, name, args)}
            if form == "parallel":
                announced = estimate(OPERATION_SETS[set_name], SHARES[name], args)
                found[f"{form} {name}"]["estimate_mb"] = announced
    return found


def child(form: str, set_name: str, name: str, count: str, args: argparse.Namespace) -> None:
    """Do some steps and print the peak of the resident set in megabytes."""
    step = prepare(form, OPERATION_SETS[set_name], SHARES[name], args)
    for _ in range(int(count)):
        step()
    # Not `getrusage`, whose maximum a process inherits from the one that started it.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(int(peak) / 1024)


def estimate(operations: Sequence[str], share: float, args: argparse.Namespace) -> float:
    """What `memory_estimate` says, in megabytes."""
    network = FlexibleSupernet(operations, CLASSES, SHAPE, width=args.width, cells=args.cells)
    for cell, numbers in enumerate(dying(operations, args.cells, share)):
        network.kill(cell, numbers)
    return memory_estimate(network, args.batch, SHAPE, moments=1) / 2**20


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=OPERATION_SETS, default=list(OPERATION_SETS))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true", help="times only")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.child:
        child(*args.child, args)
        return
    runs: list[dict[str, Any]] = []
    for set_name in args.sets:
        memory = {} if args.no_memory else measure_memories(set_name, args)
        seconds = measure_times(OPERATION_SETS[set_name], args)
        for key, value in seconds.items():
            form, name = key.rsplit(" ", 1)
            run = {"operations": set_name, "form": form, "alive": name, "seconds": value}
            run["of all alive"] = value / seconds[f"{form} all"]
            if "parallel all" in seconds:
                run["of parallel"] = value / seconds[f"parallel {name}"]
            runs.append(run | memory.get(key, {}))
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), runs)
    fields = ("operations", "form", "alive", "seconds", "of all alive", "of parallel", "peak_mb", "estimate_mb")
    print_table(fields, [tuple(run.get(name, "") for name in fields) for run in runs])


if __name__ == "__main__":
    main()
