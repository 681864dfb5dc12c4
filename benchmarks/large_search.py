"""How long does a search take where 10^18 architectures are, its latent space included, and does it find good ones?

DARTS has no table of everything, so that a regressor stands in for the trainings: gradient boosted trees on the one-hot
decisions, fitted to all rows of OnceNAS-Bench. Its values are no accuracies of real networks beyond those rows; what
the searches share is the task. Each strategy has 200 queries, ten random genotypes to start, batches of five and an
empty cache, so that `crlso` learns its latent space anew: that is part of its seconds.

    python benchmarks/large_search.py --table oncenas_545.csv --out docs/results/large_search.json
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from report import print_table, run_each, save
from sklearn.ensemble import GradientBoostingRegressor

from crlso.architecture import Architecture
from crlso.latent.cache import latent_space
from crlso.search.registry import make_strategy
from crlso.search.runner import run
from crlso.spaces import get_space
from crlso.tables import Metric, Table, read_table

CHECKPOINTS = (20, 50, 100, 200)


class Regressor:
    """An evaluator of the whole space, learned from a table's rows."""

    reference = (0.0,)

    def __init__(self, table: Table, metric: str) -> None:
        self.table, self.space = table, get_space(table.space)
        self.metrics = (Metric(metric),)
        values = table.column(metric)
        measured = np.flatnonzero(~np.isnan(values))
        archs = table.architectures()
        features = [self._features(archs[row]) for row in measured]
        self._trees = GradientBoostingRegressor(n_estimators=300, max_depth=4, subsample=0.7, random_state=0)
        self._trees.fit(features, values[measured])

    @property
    def name(self) -> str:
        """The table's, and how it was extended."""
        return f"trees fitted to {self.table.name}"

    @cached_property
    def digest(self) -> str:
        """The table's: the fit follows from it."""
        return self.table.digest

    def evaluate(self, arch: Architecture) -> tuple[float, ...]:
        """What the trees predict of the class's representative."""
        return (float(self._trees.predict([self._features(self.space.canonical(arch))])[0]),)

    def _features(self, arch: Architecture) -> np.ndarray:
        choices = self.space.choices(arch)
        return np.concatenate([np.eye(len(names))[k] for names, k in zip(self.space.options, choices, strict=True)])


def measure(table: Path, metric: str, strategy: str, seed: int, budget: int) -> dict[str, Any]:
    """One search."""
    evaluator = Regressor(read_table(table, "darts", [metric]), metric)
    latent_space.cache_clear()  # of the search before in this process
    with TemporaryDirectory() as empty:
        os.environ["CRLSO_CACHE"] = empty
        start = perf_counter()
        asker = make_strategy(strategy, evaluator.space, seed=seed)
        ready = perf_counter()
        history = run(asker, evaluator, budget=budget)
        end = perf_counter()
    best = np.maximum.accumulate([query.values[0] for query in history.queries])
    return {
        "strategy": strategy,
        "seed": seed,
        "seconds": end - start,
        "learning_s": ready - start,
        "best": best.tolist(),
    }


def main() -> None:
    """Run each strategy with each seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="oncenas_545.csv")
    parser.add_argument("--metric", default="val_accuracy_50ep")
    parser.add_argument("--strategies", nargs="+", default=["random", "evolution", "gp", "crlso"], metavar="NAME")
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers, whose libraries read it when they load
    jobs = [
        (args.table, args.metric, name, seed, args.budget) for seed in range(args.seeds) for name in args.strategies
    ]
    results = list(run_each(measure, jobs, args.processes))
    save(args.out, " ".join(["python", *sys.argv]), results)
    rows = []
    for name in args.strategies:
        here = [found for found in results if found["strategy"] == name]
        best = np.mean([found["best"] for found in here], axis=0)
        reached = [float(best[k - 1]) for k in CHECKPOINTS if k <= args.budget]
        rows.append(
            [name, len(here), *reached, *(np.mean([f[key] for f in here]) for key in ("learning_s", "seconds"))]
        )
    best_at = [f"best@{k}" for k in CHECKPOINTS if k <= args.budget]
    print_table(["strategy", "seeds", *best_at, "seconds to learn", "seconds in all"], rows)


if __name__ == "__main__":
    main()
