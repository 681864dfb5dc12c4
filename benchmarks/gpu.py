"""What a CUDA machine makes of supernets: are results those of the CPU, what does a step cost, does every method run?

`benchmarks/gpu.sh` runs it. Checks compare the same weights and images on both devices; steps are timed with events, a
median of ten after three to warm up; each method does two epochs of its `paper` preset on a part of the images, in
bfloat16.

    python benchmarks/gpu.py --out docs/results/gpu.json
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from report import print_table, save
from supernet_step import OPERATION_SETS, SHARES, dying

from crlso.supernet.data import Images, Part
from crlso.supernet.memory import memory_estimate
from crlso.supernet.methods import METHODS
from crlso.supernet.methods.base import Precision
from crlso.supernet.methods.dnad import DnadSettings
from crlso.supernet.network import FlexibleSupernet
from crlso.supernet.presets import configure_search
from crlso.supernet.searching import search
from crlso.supernet.sources import load_images
from crlso.supernet.teachers import train_teacher

CUDA = torch.device("cuda")
SHAPE, CLASSES, CELLS, WIDTH = (3, 32, 32), 10, 8, 16
BATCHES = (64, 256)
IMAGES = 2560  # that a method sees in an epoch


def random_images() -> Images:
    """Noise of CIFAR's size: enough to see that everything runs."""
    generator = torch.Generator().manual_seed(0)

    def part(count: int) -> Part:
        pixels = torch.randint(256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
        return Part(pixels, torch.arange(count) % CLASSES)

    return Images(part(IMAGES), part(512), tuple(map(str, range(CLASSES))))


def check(operations: tuple[str, ...], share: float) -> dict[str, float]:
    """The largest difference of logits and of gradients between the devices, relative to the largest value."""
    torch.manual_seed(0)
    here = FlexibleSupernet(operations, CLASSES, SHAPE, width=WIDTH, cells=CELLS)
    for cell, numbers in enumerate(dying(operations, CELLS, share)):
        here.kill(cell, numbers)
    there = copy.deepcopy(here).to(CUDA)
    x, y = torch.randn(32, *SHAPE), torch.randint(CLASSES, (32,))
    found: dict[str, float] = {}
    sides = []
    for network, device in ((here, torch.device("cpu")), (there, CUDA)):
        weights = [torch.full((len(network.triples),), 0.1, device=device, requires_grad=True) for _ in range(CELLS)]
        logits = network(x.to(device), weights)
        F.cross_entropy(logits, y.to(device)).backward()
        sides.append((logits.detach().cpu(), torch.cat([w.grad.cpu() for w in weights])))
    for name, a, b in zip(("logits", "gradients"), *sides, strict=True):
        found[name] = float((a - b).abs().max() / a.abs().max())
    return found


def time_step(operations: tuple[str, ...], share: float, batch: int, name: str) -> dict[str, float]:
    """Milliseconds and peak megabytes of a training step, beside what was announced."""
    torch.manual_seed(0)
    network = FlexibleSupernet(operations, CLASSES, SHAPE, width=WIDTH, cells=CELLS).to(CUDA)
    for cell, numbers in enumerate(dying(operations, CELLS, share)):
        network.kill(cell, numbers)
    announced = memory_estimate(network, batch, SHAPE, moments=1)
    weights = [torch.full((len(network.triples),), 0.1, device=CUDA, requires_grad=True) for _ in range(CELLS)]
    optimizer = torch.optim.SGD([*network.parameters(), *weights], 0.025, momentum=0.9, fused=True)
    x, y = torch.randn(batch, *SHAPE, device=CUDA), torch.randint(CLASSES, (batch,), device=CUDA)
    precision = Precision(name, CUDA)  # type: ignore[arg-type]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision():
            logits = network(x, weights)
        F.cross_entropy(logits.float(), y).backward()
        optimizer.step()

    torch.cuda.reset_peak_memory_stats()
    milliseconds = _milliseconds(step)
    return {
        "ms": milliseconds,
        "peak_mb": torch.cuda.max_memory_allocated() / 2**20,
        "announced_mb": announced / 2**20,
    }


def run_method(method: str, images: Images, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Two epochs of a method's preset."""
    changes = ["epochs=2", 'precision="bfloat16"', "batch=128"]
    if method == "dnad":
        changes.append("method.teacher_epochs=1")
    settings = configure_search(method, "paper", {"seed": seed}, changes)
    start, teacher = perf_counter(), None
    if isinstance(settings.method, DnadSettings):
        teacher = train_teacher(settings, images, folder / "teacher", CUDA)
    taught = perf_counter()
    torch.cuda.reset_peak_memory_stats()
    rows: list[dict[str, Any]] = []
    search(settings, images, folder, CUDA, teacher=teacher, progress=lambda _, row: rows.append(row))
    return {
        "method": method,
        "teacher_s": taught - start,
        "s_per_epoch": (perf_counter() - taught) / len(rows),
        "loss": [row["loss"] for row in rows],
        "peak_mb": torch.cuda.max_memory_allocated() / 2**20,
    }


def _milliseconds(step: Callable[[], None], warm: int = 3, repeats: int = 10) -> float:
    for _ in range(warm):
        step()
    found = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(end))
    return statistics.median(found)


def main() -> None:
    """Check, time, run, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", help="CIFAR-10 as a folder or an .npz; random images without it")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    images = load_images(args.dataset) if args.dataset else random_images()
    images = replace(images, train=Part(images.train.x[:IMAGES], images.train.y[:IMAGES]))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    checks = [
        {"operations": set_name, "alive": name, **check(operations, share)}
        for set_name, operations in OPERATION_SETS.items()
        for name, share in SHARES.items()
    ]
    steps = [
        {
            "operations": set_name,
            "alive": name,
            "batch": batch,
            "precision": precision,
            **time_step(operations, share, batch, precision),
        }
        for set_name, operations in OPERATION_SETS.items()
        for precision in ("float32", "bfloat16")
        for batch in BATCHES
        for name, share in SHARES.items()
    ]
    with TemporaryDirectory() as folder:
        methods = [run_method(method, images, Path(folder) / method) for method in METHODS]
    name = torch.cuda.get_device_name()
    save(
        args.out,
        " ".join(["python", *sys.argv]),
        {"device": name, "checks": checks, "steps": steps, "methods": methods},
    )
    print(name)
    for rows in (checks, steps, methods):
        print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])


if __name__ == "__main__":
    main()
