"""Can a latent space be learned where no one can enumerate, and does it rank as well as regressors that do only that?

First without labels: how long `explore` takes, what share of 10,000 architectures that it has never seen it writes back
exactly (to the canonical text), and what share of 10,000 draws of the prior decodes to architectures that parse. Then
with labels, from the same start every time: Kendall τ on the unseen rows of a table for the concave ensemble at the
architectures' latents, for the teacher that it was taught by, for a Gaussian process on edges and paths alone and for
gradient boosted trees on the decisions, all fitted to the same labels. DARTS is split ten-fold; elsewhere the labels
are drawn anew with every seed.

    python benchmarks/large_spaces.py --space darts --table oncenas_545.csv --metrics val_accuracy_50ep \
        --out docs/results/large_spaces_darts.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from report import print_table, save
from rich.console import Console
from rich.progress import track
from scipy.stats import kendalltau, norm, rankdata
from sklearn.ensemble import GradientBoostingRegressor

from crlso.architecture import Architecture
from crlso.exceptions import ArchitectureError
from crlso.latent.population import Labels, Population, label_classes
from crlso.latent.space import LatentSpace, explore, teacher_blocks
from crlso.latent.teacher import teach
from crlso.spaces import get_space
from crlso.tables import read_table

UNSEEN = 10_000
UNSEEN_SEED = 10**6  # far from every seed that draws what is learned


def unlabelled(name: str, seed: int) -> tuple[LatentSpace, dict[str, Any]]:
    """Explore a space, and what came of it."""
    space, start = get_space(name), perf_counter()
    latent = explore(space, seed=seed)
    seconds = perf_counter() - start
    drawn = space.sample(2 * UNSEEN, np.random.default_rng(UNSEEN_SEED + seed))
    unseen = [space.canonical(arch) for arch in drawn if arch.key not in latent.population.index][:UNSEEN]
    decoded = latent.decode(latent.encode(unseen))
    exact = np.mean([space.canonical(found).text == arch.text for found, arch in zip(decoded, unseen, strict=True)])
    prior = latent.decode(latent.vae.ball.sample(UNSEEN, torch.Generator().manual_seed(seed)))
    return latent, {
        "seconds": seconds,
        "classes": len(latent.population),
        "unseen": len(unseen),
        "reconstruction": float(exact),
        "valid": float(np.mean([parses(latent, arch) for arch in prior])),
        "distinct": len({arch.key for arch in prior}) / UNSEEN,
    }


def parses(latent: LatentSpace, arch: Architecture) -> bool:
    """Whether the space reads its own text back."""
    try:
        return latent.space.parse(arch.text).text == arch.text
    except ArchitectureError:
        return False


def splits(n: int, labels: int | None, seeds: int) -> Iterator[np.ndarray]:
    """Rows with a label, one array a split: random ones, or all but a tenth."""
    if labels is None:
        order = np.random.default_rng(0).permutation(n)
        for fold in np.array_split(order, 10):
            yield np.setdiff1d(order, fold)
    else:
        for seed in range(seeds):
            yield np.random.default_rng(seed).permutation(n)[:labels]


def ranking(latent: LatentSpace, archs: list[Architecture], values: np.ndarray, shown: np.ndarray) -> dict[str, float]:
    """Kendall τ of every regressor on the rows that were not shown."""
    hidden = np.setdiff1d(np.arange(len(archs)), shown)
    asked = [archs[row] for row in hidden]
    known, told = [archs[row] for row in shown], values[shown]
    start = perf_counter()
    tuned = latent.tuned(known, told)
    seconds = perf_counter() - start
    with torch.no_grad():
        scores = tuned.vae.score(tuned.encode(asked)).numpy()
    population, costs = latent.classes_with(archs, 0)
    labels, rows = label_classes(population, known, told), [population.index[arch.key] for arch in asked]
    blocks = teacher_blocks(population, latent.space, costs)
    predictions = {
        "concave": scores,
        "teacher": taught(latent, population, labels, blocks)[rows],
        "gp": taught(latent, population, labels, [])[rows],
        "trees": trees(latent, known, told, asked),
    }
    return {name: float(kendalltau(found, values[hidden]).statistic) for name, found in predictions.items()} | {
        "seconds": seconds
    }


def taught(latent: LatentSpace, population: Population, labels: Labels, blocks: list[np.ndarray]) -> np.ndarray:
    """A Gaussian process on edges, paths and further features."""
    return teach(population, latent.space.schema, labels.values, labels.known, blocks)


def trees(latent: LatentSpace, known: list[Architecture], told: np.ndarray, asked: list[Architecture]) -> np.ndarray:
    """Gradient boosted trees on the decisions, fitted to normal scores as everyone here."""
    scores = norm.ppf((rankdata(told) - 0.5) / len(told))
    rows, others = (
        np.array([latent.space.choices(latent.space.canonical(a)) for a in some]) for some in (known, asked)
    )
    forest = GradientBoostingRegressor(
        n_estimators=400, max_depth=3, learning_rate=0.05, subsample=0.5, random_state=0
    ).fit(rows, scores)
    return forest.predict(others)


def main() -> None:
    """Measure one space and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--metrics", nargs="+", required=True)
    parser.add_argument("--labels", type=int, help="random rows with a label; ten folds when left out")
    parser.add_argument("--splits", type=int, default=5, help="how often the labels are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = read_table(args.table, args.space)
    latent, results = unlabelled(args.space, args.seed)
    print_table(tuple(results), [tuple(results.values())])
    everyone = table.architectures()
    for metric in args.metrics:
        column = table.metric(metric).sign * table.column(metric)
        measured = np.flatnonzero(~np.isnan(column))
        archs, values = [everyone[row] for row in measured], column[measured]
        tasks = list(splits(len(archs), args.labels, args.splits))
        runs = [ranking(latent, archs, values, shown) for shown in track(tasks, metric, console=Console(stderr=True))]
        results[metric] = runs
        rows = [(name, f"{np.mean(t):.3f} ± {np.std(t):.3f}") for name in runs[0] if (t := [run[name] for run in runs])]
        print_table((metric, "mean ± deviation"), rows)
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), {"space": args.space, **results})


if __name__ == "__main__":
    main()
