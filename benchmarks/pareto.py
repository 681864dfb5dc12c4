"""Two objectives: how much of the best trade-offs does a strategy find, by one runner, from the same random starts?

Four problems: accuracy against latency and against params, on NAS-Bench-201 (CIFAR-10, validation, 200 epochs; latency
of an edge GPU) and on mobile networks (Accel-NASBench; latency of a ZCU102).
The score after k queries is the hypervolume of all that was queried over that of the whole table. Volumes are in the
metrics' own units above a reference point fixed before any strategy was run: the accuracy that 5 % of the table's rows
fall short of, and the cost that 5 % of them exceed. Isomorphic twins are one architecture measured several times: a
queried class counts with all its members, for every strategy alike. What a strategy is told are the values of the very
text that it asked for; the reference point is told to none.

    python benchmarks/pareto.py --nasbench201 nasbench201.csv --mobile accel_nasbench.csv --seeds 20 --out pareto.json

Runs that the output already holds are kept and not repeated, so that a benchmark can be run in pieces.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from report import print_table, run_each, save

from crlso.evaluators import TableEvaluator
from crlso.pareto import hypervolume
from crlso.search.registry import make_strategy
from crlso.search.runner import run
from crlso.spaces import get_space
from crlso.tables import Metric, read_table

CHECKPOINTS = (20, 50, 100)
TAIL = 0.05  # share of the table's rows beyond the reference point, in each objective
QUARTILES = (0.25, 0.75)


@dataclass(frozen=True)
class Problem:
    """Two columns of a file.

    Attributes:
        label: what the problem is called in the results.
        space: of the architectures; the option of that name gives the file.
        accuracy: more of it is better.
        cost: less of it is better.
    """

    label: str
    space: str
    accuracy: str
    cost: str


PROBLEMS = (
    Problem("nasbench201, latency", "nasbench201", "cifar10_val_200ep", "cifar10_edgegpu_latency"),
    Problem("nasbench201, params", "nasbench201", "cifar10_val_200ep", "cifar10_params"),
    Problem("mobile, latency", "mobile", "val_accuracy", "latency_zcu102"),
    Problem("mobile, params", "mobile", "val_accuracy", "params_m"),
)


@dataclass(frozen=True)
class Truth:
    """What a problem's file knows.

    Attributes:
        evaluator: of both columns.
        credit: values of all members of a class; more is better.
        reference: where volumes begin; more is better.
        volume: of the whole table.
    """

    evaluator: TableEvaluator
    credit: dict[str, Float[np.ndarray, "members 2"]]
    reference: Float[np.ndarray, "2"]
    volume: float


@cache
def truth(problem: Problem, file: Path) -> Truth:
    """Read a file, once a process."""
    metrics = (Metric(problem.accuracy), Metric(problem.cost, "min"))
    evaluator = TableEvaluator(read_table(file, problem.space, metrics), [problem.accuracy, problem.cost])
    gains = np.array([evaluator.evaluate(arch) for arch in evaluator.candidates]) * [1.0, -1.0]
    reference = np.quantile(gains, TAIL, axis=0)
    credit: dict[str, list[Float[np.ndarray, "2"]]] = {}
    for arch, row in zip(evaluator.candidates, gains, strict=True):
        credit.setdefault(arch.key, []).append(row)
    stacked = {key: np.array(rows) for key, rows in credit.items()}
    return Truth(evaluator, stacked, reference, hypervolume(gains, reference))


def measure(problem: Problem, file: Path, strategy: str, seed: int, budget: int) -> dict[str, Any]:
    """One search; the score after every query."""
    known, space = truth(problem, file), get_space(problem.space)
    asker = make_strategy(strategy, space, seed=seed, candidates=known.evaluator.candidates, objectives=2)
    history = run(asker, known.evaluator, budget=budget)
    found, scores = np.empty((0, 2)), []
    for query in history.queries:
        found = np.vstack([found, known.credit[space.parse(query.arch).key]])
        scores.append(hypervolume(found, known.reference) / known.volume)
    return {
        "problem": problem.label,
        "strategy": strategy,
        "seed": seed,
        "reference": np.abs(known.reference).tolist(),
        "scores": scores,
        "overhead_s": sum(query.seconds for query in history.queries) / budget,
    }


def grouped(runs: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Runs by problem and strategy, in the order of the problems."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for problem in PROBLEMS:
        for found in runs:
            if found["problem"] == problem.label:
                groups.setdefault((problem.label, found["strategy"]), []).append(found)
    return groups


def table_rows(runs: list[dict[str, Any]], budget: int) -> list[list[Any]]:
    """Mean and standard error of the scores, and the overhead a query."""
    rows = []
    for names, here in grouped(runs).items():
        scores = np.array([found["scores"] for found in here])
        error = np.std(scores, axis=0, ddof=1) / np.sqrt(len(here)) if len(here) > 1 else np.full(budget, np.nan)
        mean = scores.mean(axis=0)
        cells = [f"{mean[k - 1]:.4f} ± {error[k - 1]:.4f}" for k in CHECKPOINTS if k <= budget]
        rows.append([*names, len(here), *cells, float(np.mean([found["overhead_s"] for found in here]))])
    return rows


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """What is missing to the whole volume: a panel for each problem, the mean over seeds with quartiles as a band."""
    groups = grouped(runs)
    labels = list(dict.fromkeys(label for label, _ in groups))
    colours = {name: f"C{number}" for number, name in enumerate(dict.fromkeys(name for _, name in groups))}
    figure, panels = plt.subplots(1, len(labels), figsize=(4.6 * len(labels), 4), squeeze=False)
    for axes, label in zip(panels[0], labels, strict=True):
        for (problem, strategy), here in groups.items():
            if problem == label:
                missing = 1 - np.array([found["scores"] for found in here])
                queries = np.arange(1, missing.shape[1] + 1)
                first, third = np.quantile(missing, QUARTILES, axis=0)
                axes.fill_between(queries, first, third, color=colours[strategy], alpha=0.15, linewidth=0)
                axes.plot(queries, missing.mean(axis=0), color=colours[strategy], label=strategy)
        axes.set(title=label, xlabel="queries", ylabel="share of the hypervolume not found", yscale="log")
    panels[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run what is missing, write each run as it comes, and print the table."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers, whose libraries read it when they load
    runs: list[dict[str, Any]] = json.loads(args.out.read_text())["results"] if args.out.exists() else []
    if any(len(found["scores"]) != args.budget for found in runs):
        sys.exit(f"{args.out} holds runs of another budget: name another file")
    done = {(found["problem"], found["strategy"], found["seed"]) for found in runs}
    jobs = [
        (problem, getattr(args, problem.space), strategy, seed, args.budget)
        for seed in range(args.seeds)
        for problem in PROBLEMS
        for strategy in args.strategies
        if getattr(args, problem.space) and (problem.label, strategy, seed) not in done
    ]
    for found in run_each(measure, jobs, args.processes):
        runs.append(found)
        save(args.out, " ".join(["python", *sys.argv]), runs)
    checkpoints = [f"hypervolume@{k}" for k in CHECKPOINTS if k <= args.budget]
    print_table(["problem", "strategy", "seeds", *checkpoints, "s/query"], table_rows(runs, args.budget))
    if args.plot:
        draw(runs, args.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nasbench201", type=Path, help="nasbench201.csv; its problems are left out without it")
    parser.add_argument("--mobile", type=Path, help="accel_nasbench.csv; likewise")
    parser.add_argument("--strategies", nargs="+", default=["random", "nsga2", "qnehvi", "crlso"], metavar="NAME")
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
