"""Do searches in a supernet find architectures that beat random ones of their own size?

Each method searches with each seed; of its records, those nearest to some sizes (params) are trained alone. As many
random flexible architectures of each size, within a twentieth, are trained in the same way. Sizes are the same for all
methods, so that the random ones serve them all; none was chosen by how it did. What is compared is the test accuracy
after the last epoch, in one run, on the same images.

    python benchmarks/supernet_search.py --dataset digits --folder runs --out docs/results/supernet_digits.json

Every search and training has a folder of its own below `--folder` and goes on from there, so that a benchmark can be
run in pieces. `--again` takes the searches of an earlier result as they are and trains what was chosen of them again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from report import print_table, run_each, save

from crlso.architecture import Architecture
from crlso.supernet.derivation import collapsed, derive
from crlso.supernet.methods import METHODS
from crlso.supernet.methods.dnad import DnadSettings
from crlso.supernet.presets import configure_search, configure_training
from crlso.supernet.searching import flexible_space, search
from crlso.supernet.sources import load_images
from crlso.supernet.standalone import count_costs, train
from crlso.supernet.teachers import FOLDER, train_teacher

NEAR = 0.05  # relative difference in params within which a random architecture is of a size
KEPT = ("epoch", "accuracy", "params", "flops", "skips")  # of the record of an architecture, which is long
CPU = torch.device("cpu")


class Arm(NamedTuple):
    """What is trained alone: an architecture, who found it in a search of which seed for which size, and how often."""

    method: str
    seed: int
    size: int
    architecture: str
    training: int


def search_once(
    folder: Path, preset: str, space: str, dataset: str, method: str, seed: int, changes: Sequence[str]
) -> dict[str, Any]:
    """One search; its records, front and seconds of CPU, a teacher's apart; none where it went on from before."""
    settings = configure_search(method, preset, {"space": space, "dataset": dataset, "seed": seed}, changes)
    images, fresh = load_images(settings.dataset, size=settings.size), not folder.exists()
    start, teacher = process_time(), None
    if isinstance(settings.method, DnadSettings):
        teacher = train_teacher(settings, images, folder / FOLDER, CPU)
    taught = process_time()
    records = search(settings, images, folder, CPU, teacher=teacher, resume=True)
    return {
        "method": method,
        "seed": seed,
        "records": records,
        "front": derive(folder),
        "collapsed": collapsed(records),
        "teacher_s": taught - start if fresh else None,
        "seconds": process_time() - taught if fresh else None,
    }


def train_once(
    folder: Path, preset: str, space: str, dataset: str, arch: str, seed: int, changes: Sequence[str]
) -> dict[str, Any]:
    """One stand-alone training; what `train` says."""
    given = {"space": space, "dataset": dataset, "arch": arch, "seed": seed}
    settings = configure_training(preset, given, changes)
    named = folder / f"{sha256(arch.encode()).hexdigest()[:12]}-{seed}"
    return train(settings, load_images(dataset, size=settings.size), named, CPU, resume=True)


def draw_sized(space_name: str, dataset: str, width: int, params: int, count: int, seed: int) -> list[Architecture]:
    """Random architectures within `NEAR` of a size: nodes keep as many pairs as make it on average."""
    space, images, rng = flexible_space(space_name), load_images(dataset), np.random.default_rng(seed)

    def size(arch: Architecture) -> float:
        return count_costs(arch, images, width).params

    fewest, most = 1.0, 2.0 * len(space.operations)
    for _ in range(12):
        middle = (fewest + most) / 2
        smaller = np.mean([size(arch) for arch in space.sample_sized(20, rng, middle)]) < params
        fewest, most = (middle, most) if smaller else (fewest, middle)
    found: list[Architecture] = []
    while len(found) < count:
        found += [arch for arch in space.sample_sized(50, rng, middle) if abs(size(arch) / params - 1) < NEAR]
    return found[:count]


def nearest(searches: Sequence[dict[str, Any]], size: int, trainings: int) -> list[Arm]:
    """Of each search the record nearest to a size, so many times."""
    chosen = [(found, min(found["records"], key=lambda record: abs(record["params"] - size))) for found in searches]
    return [
        Arm(found["method"], found["seed"], size, record["architecture"], seed)
        for found, record in chosen
        for seed in range(trainings)
    ]


def chosen_before(outcomes: Sequence[dict[str, Any]], size: int) -> list[Arm]:
    """The same, as an earlier run chose it; its random architectures are drawn anew, and are the same ones."""
    return [
        Arm(*(one[field] for field in Arm._fields))
        for one in outcomes
        if one["size"] == size and one["method"] != "random"
    ]


def search_all(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every method with every seed."""
    jobs = [
        (args.folder / f"{method}-{seed}", args.preset, args.space, args.dataset, method, seed, args.set)
        for method in args.methods
        for seed in range(args.seeds)
    ]
    return list(run_each(search_once, jobs, args.processes))


def train_all(args: argparse.Namespace, arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """What came of each alone."""
    jobs = [
        (
            args.folder / "alone",
            args.preset,
            args.space,
            args.dataset,
            arm.architecture,
            arm.training,
            args.train_set,
        )
        for arm in arms
    ]
    results = run_each(train_once, jobs, args.processes)
    return [{**arm._asdict(), **result} for arm, result in zip(arms, results, strict=True)]


def read_arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--space", default="darts-flexible")
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[60_000, 120_000], help="params")
    parser.add_argument("--random", type=int, default=10, help="random architectures of each size")
    parser.add_argument("--trainings", type=int, default=1, help="seeds with which each searched one is trained")
    parser.add_argument("--set", nargs="*", default=[], help="settings of all searches, as name=value")
    parser.add_argument("--train-set", nargs="*", default=[], help="settings of all trainings, as name=value")
    parser.add_argument("--again", type=Path, help="a result of this benchmark, whose searches are taken as they are")
    parser.add_argument("--folder", type=Path, required=True, help="of all runs")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def main() -> None:
    """Search, train alone, and print the table."""
    args = read_arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers, whose libraries read it when they load
    earlier = json.loads(args.again.read_text())["results"] if args.again else None
    searches = earlier["searches"] if earlier else search_all(args)
    width = configure_training(args.preset, {"space": args.space, "arch": ""}, args.train_set).width
    arms: list[Arm] = []
    for size in args.sizes:
        arms += chosen_before(earlier["trainings"], size) if earlier else nearest(searches, size, args.trainings)
        drawn = draw_sized(args.space, args.dataset, width, size, args.random, size)
        arms += [Arm("random", number, size, arch.text, 0) for number, arch in enumerate(drawn)]
    outcomes = train_all(args, arms)
    for found in searches:
        for rows in ("records", "front"):
            found[rows] = [{key: record[key] for key in KEPT} for record in found[rows]]
    save(args.out, " ".join(["python", *sys.argv]), {"searches": searches, "trainings": outcomes})
    show(searches, outcomes, args.sizes)
    if args.plot:
        plot(args.plot, searches, outcomes)


def plot(path: Path, searches: Sequence[dict[str, Any]], outcomes: Sequence[dict[str, Any]]) -> None:
    """Fronts as the supernets score them, and what came of single architectures alone."""
    figure, (within, alone) = plt.subplots(1, 2, figsize=(11, 4.2))
    for number, method in enumerate([*dict.fromkeys(found["method"] for found in searches), "random"]):
        look = {"color": "0.6" if method == "random" else f"C{number}", "marker": "o"}
        for found in (found for found in searches if found["method"] == method):
            params, accuracies = zip(*((one["params"] / 1e3, one["accuracy"]) for one in found["front"]), strict=True)
            within.plot(params, accuracies, markersize=3, **look)
        here = [one for one in outcomes if one["method"] == method]
        alone.scatter([one["params"] / 1e3 for one in here], [one["accuracy"] for one in here], label=method, **look)
    within.set(title="in the supernet, images held out", ylabel="accuracy (%)")
    alone.set(title="trained alone, test images", ylabel="accuracy (%)")
    for axes in (within, alone):
        axes.set(xlabel="params (thousands)", xscale="log")
        for axis_format in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis_format("{x:.0f}")
    alone.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def show(searches: Sequence[dict[str, Any]], outcomes: Sequence[dict[str, Any]], sizes: Sequence[int]) -> None:
    """Accuracy by method and size beside the random ones', and what the searches took."""
    rows = []
    for method in [*dict.fromkeys(found["method"] for found in searches), "random"]:
        own = [found for found in searches if found["method"] == method]
        row: list[Any] = [method]
        known = [found["seconds"] for found in own if found["seconds"] is not None]
        row.append(", ".join(str(len(found["front"])) for found in own))
        row.append(float(np.mean(known)) if known else "")
        for size in sizes:
            here = [one for one in outcomes if (one["method"], one["size"]) == (method, size)]
            accuracies = [one["accuracy"] for one in here]
            error = np.std(accuracies, ddof=1) / len(accuracies) ** 0.5 if len(accuracies) > 1 else 0.0
            params = np.mean([one["params"] for one in here])
            row += [f"{params / 1e3:.0f}k", f"{np.mean(accuracies):.2f} ± {error:.2f}"]
        rows.append(row)
    header = ["method", "front", "s/search"]
    for size in sizes:
        header += ["params", f"accuracy at {size / 1e3:.0f}k"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
