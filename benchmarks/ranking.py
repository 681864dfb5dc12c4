"""How well does the latent space rank what it has not seen, and do its promises hold on a trained model?

Two protocols, each for every data set and seed: all labels but a random tenth of the cells, and 300 random labels.
Kendall τ is taken over the unseen cells, and again over those of them without a twin among the seen ones. Each model
must also reconstruct, decode 10,000 draws of the prior to valid cells, and be concave: for 10,000 pairs of points in
the ball and as many a hundred radii out, the largest violation at the midpoint, over the range of values.

    python benchmarks/ranking.py --seeds 5 --out docs/results/ranking.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import print_table, run_all, save

from crlso.exceptions import ArchitectureError
from crlso.latent.model import Model
from crlso.tables import load_table
from crlso.training import train

PROTOCOLS: dict[str, dict[str, Any]] = {"holdout 0.1": {"holdout": 0.1}, "300 labels": {"labels": 300}}
PAIRS = 10_000
FAR = 100.0


def measure(dataset: str, seed: int, protocol: str) -> dict[str, Any]:
    """Train one model and hold it to its promises."""
    table = load_table("nasbench201", dataset)
    with tempfile.TemporaryDirectory() as folder:
        model = train(table, Path(folder) / "model", metric="val_accuracy", seed=seed, **PROTOCOLS[protocol])
    generator = torch.Generator().manual_seed(seed)
    return {
        "dataset": dataset,
        "seed": seed,
        "protocol": protocol,
        **model.manifest["quality"],
        "valid": valid_share(model, generator),
        "violation": max(violation(model, scale, generator) for scale in (1.0, FAR)),
    }


def valid_share(model: Model, generator: torch.Generator) -> float:
    """Share of draws of the prior that decode to a text that the space reads back."""
    valid = 0
    for arch in model.decode(model.ball.sample(PAIRS, generator)):
        try:
            valid += model.space.parse(arch.text).text == arch.text
        except ArchitectureError:
            continue
    return valid / PAIRS


@torch.no_grad()
def violation(model: Model, scale: float, generator: torch.Generator) -> float:
    """Largest excess of a chord over f at its midpoint, over the range of f at all these points."""
    left, right = (scale * model.ball.sample(PAIRS, generator) for _ in range(2))
    values = [model.vae.predict(z)[0] for z in (left, right, (left + right) / 2)]
    spread = torch.cat(values).max() - torch.cat(values).min()
    return float((((values[0] + values[1]) / 2 - values[2]).max() / spread).clamp(min=0.0))


def main() -> None:
    """Run both protocols and print means and spreads over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["cifar10", "cifar100", "imagenet16"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    jobs = [(d, seed, p) for p in PROTOCOLS for d in args.datasets for seed in range(args.seeds)]
    runs = run_all(measure, jobs, args.processes)
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), runs)
    rows = []
    for protocol, dataset in dict.fromkeys((run["protocol"], run["dataset"]) for run in runs):
        here = [run for run in runs if (run["protocol"], run["dataset"]) == (protocol, dataset)]
        unseen, new = ([run[name] for run in here] for name in ("tau_unseen", "tau_new_classes"))
        rows.append(
            (
                protocol,
                dataset,
                f"{np.mean(unseen):.3f} ± {np.std(unseen):.3f}",
                f"{np.mean(new):.3f} ± {np.std(new):.3f}",
                float(min(run["reconstruction"] for run in here)),
                float(min(run["valid"] for run in here)),
                f"{max(run['violation'] for run in here):.1e}",
            )
        )
    header = ("protocol", "data", "τ unseen", "τ new classes", "least reconstruction", "valid", "worst violation")
    print_table(header, rows)


if __name__ == "__main__":
    main()
