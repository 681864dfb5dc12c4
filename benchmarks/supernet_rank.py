r"""Do supernets trained by single paths order NAS-Bench-201, and does a search by their score alone find good cells?

Supernets are trained with several seeds, with one and with five cells a stage, which score together (or are taken from
`--folder`, where each has a folder of its own and goes on). They are compared with the measured accuracy of random
cells that none was tuned on, beside a control that counts weights; then `crlso` searches the whole space by their score
and nothing else. What the search returns is looked up only at the end: the cell with the best score, the mean of the
ten best, and the cell of the whole space of which the strategy's own model, told the scores, thinks most.

    python benchmarks/supernet_rank.py --images cifar10.npz --table nasbench201.csv --metric cifar10_test_200ep \
        --folder runs/rank --out docs/results/supernet_rank.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from report import print_table, run_each, save

from crlso.architecture import Architecture
from crlso.evaluators.agreement import compare
from crlso.evaluators.one_shot import OneShotEvaluator
from crlso.search.crlso import Crlso
from crlso.search.registry import make_strategy
from crlso.search.runner import run
from crlso.search.strategy import class_values
from crlso.search.warp import Warp
from crlso.spaces import get_space
from crlso.supernet.devices import choose_device
from crlso.supernet.paths import train_paths
from crlso.supernet.presets import configure_paths
from crlso.supernet.sources import load_images
from crlso.tables import Table, read_table

SPACE = get_space("nasbench201")
TOP = 10
FIGURES = ("kendall_tau", "spearman_rho", "regret_1", "regret_10")


def rank_one(
    folders: dict[int, Path], images: str, table: Path, metric: str, seed: int, sample: int, changes: Sequence[str]
) -> dict[str, Any]:
    """Train the supernets of a seed, by cells a stage, or what is left to train of them, and rank random cells."""
    start, trained = process_time(), []
    for cells, folder in folders.items():
        settings = configure_paths("small", {"dataset": images, "seed": seed, "cells": cells}, changes)
        data = load_images(settings.dataset, size=settings.size)
        result = train_paths(settings, data, folder, choose_device("cpu"), resume=True)
        trained.append({"settings": settings.model_dump(mode="json", exclude={"dataset"}), "loss": result["loss"]})
    between, evaluator = process_time(), OneShotEvaluator(*folders.values())
    found = compare(evaluator, read_table(table, SPACE.name, [metric]), metric, sample=sample)
    top = found.truth[np.argsort(-found.guess, kind="stable")[:TOP]]
    return {
        "seed": seed,
        "supernets": trained,
        "train_cpu_s": between - start,
        "rank_cpu_s": process_time() - between,
        "figures": {
            who: {name: one._asdict() for name, one in figures.items()} for who, figures in found.figures().items()
        },
        "best": float(found.truth.max()),
        "top_1": float(top[0]),
        "top_10": float(top.mean()),
        "archs": [arch.text for arch in found.archs],
        "loss_by_arch": (-found.guess).tolist(),
    }


def search_one(
    folders: Sequence[Path], table: Path, metric: str, supernet: int, strategy: str, seed: int, budget: int
) -> dict[str, Any]:
    """One search by a supernet's score; true values of what it found."""
    start, evaluator = process_time(), OneShotEvaluator(*folders)
    asker = make_strategy(strategy, SPACE, seed=seed)
    history = run(asker, evaluator, budget=budget)
    truth = read_table(table, SPACE.name, [metric])
    ordered = sorted(history.queries, key=lambda query: query.values)
    values = [_value(truth, query.arch, metric) for query in ordered]
    return {
        "supernet": supernet,
        "strategy": strategy,
        "seed": seed,
        "queries": len(ordered),
        "arch": ordered[0].arch,
        "loss": ordered[0].values[0],
        "top_1": values[0],
        "top_10": float(np.mean(values[:TOP])),
        "best_of_top_10": max(values[:TOP]),
        "believed": _value(truth, believed(asker).text, metric) if isinstance(asker, Crlso) else None,
        "seconds": process_time() - start,
    }


def believed(asker: Crlso) -> Architecture:
    """The class with the largest posterior mean after all that was told."""
    archs, values = class_values(asker.measured)
    (model,) = asker._models(archs, Warp.of(values, {}), {})
    classes = asker.pool.classes or ()
    return classes[int(model.at(classes).mean.argmax())]


def _value(table: Table, arch: str, metric: str) -> float:
    value = table.value(arch, metric)
    if value is None:
        raise SystemExit(f"the table has no {metric} of {arch}: it has to be of the whole space")
    return value


def heaviest(table: Table, metric: str) -> dict[str, Any]:
    """What counting weights would return of the whole space: the mean over the cells with the most, none dead."""
    from crlso.networks import costs

    archs = {arch.text for arch in map(SPACE.canonical, table.architectures())}
    params = {arch: costs(SPACE.parse(arch)).params for arch in archs}
    most = max(params.values())
    values = [_value(table, arch, metric) for arch, count in params.items() if count == most]
    return {
        "params": most,
        "cells": len(values),
        "mean": float(np.mean(values)),
        "best": float(table.column(metric).max()),
    }


def main() -> None:
    """Train and rank, then search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="data set, as crlso supernet takes it")
    parser.add_argument("--table", type=Path, required=True, help="measurements of all cells, CSV or Parquet")
    parser.add_argument("--metric", required=True, help="its column that is the truth; more is better")
    parser.add_argument("--folder", type=Path, required=True, help="of the supernets, one below it each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of supernets")
    parser.add_argument(
        "--cells", type=int, nargs="+", default=[1, 5], help="a stage, of supernets that score together"
    )
    parser.add_argument("--set", action="append", default=[], help="one setting as name=value; repeatable")
    parser.add_argument("--sample", type=int, default=300, help="cells that are ranked")
    parser.add_argument("--strategies", nargs="+", default=["crlso", "random"])
    parser.add_argument("--searches", type=int, default=5, help="seeds of each search")
    parser.add_argument("--budget", type=int, default=100, help="scores that a search may ask for")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    folders = {seed: {n: args.folder / f"seed-{seed}-cells-{n}" for n in args.cells} for seed in args.seeds}
    results: dict[str, Any] = {"heaviest": heaviest(read_table(args.table, SPACE.name, [args.metric]), args.metric)}
    results |= {"supernets": [], "searches": []}
    common = (args.table, args.metric)
    jobs = [(by_cells, args.images, *common, seed, args.sample, args.set) for seed, by_cells in folders.items()]
    for one in run_each(rank_one, jobs, args.processes):
        results["supernets"].append(one)
        save(args.out, " ".join(["python", *sys.argv]), results)
    searches = [
        (tuple(by_cells.values()), *common, supernet, strategy, seed, args.budget)
        for supernet, by_cells in folders.items()
        for strategy in args.strategies
        for seed in range(args.searches)
    ]
    for one in run_each(search_one, searches, args.processes):
        results["searches"].append(one)
        save(args.out, " ".join(["python", *sys.argv]), results)
    _print(results)


def _print(results: dict[str, Any]) -> None:
    """Rankings with their control, then searches."""
    rows = []
    for one in results["supernets"]:
        for who, figures in one["figures"].items():
            cells = ("{value:.3f} ({low:.3f} to {high:.3f})".format(**figures[name]) for name in FIGURES)
            rows.append([one["seed"], who, *cells])
    print_table(["supernet", "order by", "τ", "ρ", "regret of 1", "regret of 10"], rows)
    columns = ("supernet", "strategy", "seed", "loss", "top_1", "top_10", "best_of_top_10", "believed", "seconds")
    print_table(columns, [[one[name] for name in columns] for one in results["searches"]])
    print(results["heaviest"])


if __name__ == "__main__":
    main()
