"""Does latent ascent end at good architectures, or off the set of latents that architectures have?

Trains a fully labelled latent space for each data set, seed and arm, ascends, and compares what is proposed with the
table: f(z), f(encode(decode(z))) and the true rank of 15,625 side by side. Arms are the default, the default with one
loss taken away, and the published CR-LSO objective. The last column is what ranking *all* cells by f would give: an
upper reference that no ascent uses. With `--limit` the ascent must keep params below it.

    python benchmarks/manifold_gap.py --seeds 10 --out docs/results/manifold_gap.json
    python benchmarks/manifold_gap.py --arms all --datasets cifar10 --seeds 3 --out docs/results/ablation.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from report import print_table, run_all, save

from crlso.exceptions import ProblemError
from crlso.latent.config import configure
from crlso.latent.model import Model
from crlso.networks import costs
from crlso.search.ascent import ascend, optimize
from crlso.search.problem import Constraint, Problem
from crlso.tables import load_table
from crlso.training import train

OURS = (
    "members=4",
    "icnn_hidden=64",
    "icnn_layers=2",
    "icnn_activation=squareplus",
    "hidden=128",
    "epochs=140",
    "learning_rate=2e-3",
    "betas=[0.9, 0.999]",
    "weight_decay=1e-2",
    "schedule=one-cycle",
)
ARMS: dict[str, tuple[str, ...]] = {
    "default": ("default",),
    "no tessellation": ("default", "tessellation=0"),
    "no volume loss": ("default", "volume=0"),
    "no radius loss": ("default", "radius=0"),
    "no volume, no radius, no tessellation": ("default", "volume=0", "radius=0", "tessellation=0"),
    "score loss and tessellation": ("default", "volume=0", "radius=0", "quantile=0"),
    "score loss alone": ("default", "volume=0", "radius=0", "quantile=0", "tessellation=0"),
    "noise of 0.01": ("default", "posterior_std=0.01"),
    "score loss alone, noise of 0.01": (
        *("default", "volume=0", "radius=0", "quantile=0", "tessellation=0"),
        "posterior_std=0.01",
    ),
    "CR-LSO losses, our network and schedule": ("paper", *OURS),
    "paper": ("paper",),
}
LIMIT = 400_000
TOP = 5


def measure(dataset: str, seed: int, arm: str) -> dict[str, Any]:
    """One model and its proposals; the seed is that of the training and of the ascent."""
    table = load_table("nasbench201", dataset)
    settings = configure(ARMS[arm][0], ARMS[arm][1:])
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = train(table, Path(folder) / "model", metric="val_accuracy", config=settings, seed=seed)
    except ProblemError as error:  # an arm may well diverge, which is a result too
        return {"dataset": dataset, "seed": seed, "arm": arm, "failed": str(error)}
    values = np.sort(table.column("val_accuracy"))[::-1]

    def rank(value: float | None) -> int:
        return int(np.searchsorted(-values, -value, side="left")) + 1 if value is not None else len(values)

    problem = Problem(num_architectures=8, seed=seed)
    answer = optimize(model, problem)
    path = ascend(model, problem)
    top = model.space.canonical(model.decode(path.z[path.score.argmax()][None])[0])
    everything = np.argsort(-model.predict(model.latents)[0].numpy(), kind="stable")[:8]
    gaps = [abs(found.at_latent.value - found.predicted.mean) for found in answer.proposals]
    return {
        "dataset": dataset,
        "seed": seed,
        "arm": arm,
        "ranks": [rank(found.measured) for found in answer.proposals],
        "at_maximiser": rank(model.measured(top)),
        "gap": float(np.mean(gaps)),
        "visited": answer.visited,
        "certificate_gap": answer.certificate.gap,
        "everything": [rank(model.measured(model.known[row])) for row in everything],
        "quality": model.manifest["quality"],
        "limited": limited(model, seed),
    }


def limited(model: Model, seed: int) -> dict[str, Any]:
    """How far the best proposal within the limit on params is from the best cell within it."""
    problem = Problem(seed=seed, constraints=(Constraint(metric="params", max=LIMIT),))
    proposals = optimize(model, problem).proposals
    assert model.table is not None
    feasible = [model.measured(arch) for arch in model.space.enumerate() if costs(arch).params <= LIMIT]
    best = max(value for value in feasible if value is not None)
    return {
        "kept": all(found.params <= LIMIT for found in proposals),
        "shortfall": best - max(found.measured or 0.0 for found in proposals),
        "first": best - (proposals[0].measured or 0.0),
    }


def summarise(runs: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """One row for each arm and data set."""
    rows = []
    for arm, dataset in dict.fromkeys((run["arm"], run["dataset"]) for run in runs):
        here = [run for run in runs if (run["arm"], run["dataset"]) == (arm, dataset) and "failed" not in run]
        if not here:
            rows.append((arm, dataset, "every run failed"))
            continue
        ranks = np.concatenate([run["ranks"] for run in here])
        rows.append(
            (
                arm,
                dataset,
                f"{sum(min(run['ranks']) <= TOP for run in here)}/{len(here)}",
                int(np.median(ranks)),
                int(ranks.max()),
                " ".join(str(run["at_maximiser"]) for run in here),
                float(np.mean([run["gap"] for run in here])),
                float(np.mean([run["quality"]["tau_seen"] for run in here])),
                float(np.min([run["quality"]["reconstruction"] for run in here])),
                int(np.median(np.concatenate([run["everything"] for run in here]))),
                f"{sum(run['limited']['kept'] for run in here)}/{len(here)}",
                float(np.max([run["limited"]["shortfall"] for run in here])),
            )
        )
    return rows


def main() -> None:
    """Run the arms and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["cifar10", "cifar100", "imagenet16"])
    parser.add_argument("--arms", nargs="+", default=["default"], help=f"all, or some of {', '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    arms = list(ARMS) if args.arms == ["all"] else args.arms
    jobs = [(dataset, seed, arm) for arm in arms for dataset in args.datasets for seed in range(args.seeds)]
    runs = run_all(measure, jobs, args.processes)
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), runs)
    header = (
        "arm", "data", f"top {TOP} found", "median rank", "worst rank", "at maximiser", "mean gap", "τ",
        "reconstruction", "ranking all: median", "limit kept", "largest shortfall",
    )  # fmt: skip
    print_table(header, summarise(runs))


if __name__ == "__main__":
    main()
