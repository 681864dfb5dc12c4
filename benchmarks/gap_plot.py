"""Where does the ascent lead: the true rank of what is decoded, step by step.

For each of several trained models an ascent from many starts; at every step the median, quartiles and 5-95 % band over
the starts of the true rank of the decoded cell. A surrogate that is followed off the architectures climbs, then falls.

    python benchmarks/gap_plot.py models/plain models/nasbench201-cifar10 --out docs/results/manifold_gap.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from crlso.latent.bundle import load_bundle
from crlso.latent.model import Model
from crlso.search.ascent import ascend
from crlso.search.problem import Problem

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def draw(axes: Axes, model: Model, problem: Problem, color: str) -> None:
    """One model's ascent: a line and two bands."""
    assert model.table is not None
    path = ascend(model, problem)
    decoded = [model.measured(model.space.canonical(arch)) for arch in model.decode(path.z)]
    values = -np.sort(-model.table.column(model.metric.name))
    ranks = 1 + np.searchsorted(-values, -np.array(decoded, dtype=float))
    low, first, median, third, high = np.quantile(ranks.reshape(-1, problem.num_starts), LEVELS, axis=1)
    steps = np.arange(problem.num_steps + 1)
    axes.fill_between(steps, low, high, color=color, alpha=0.12, linewidth=0)
    axes.fill_between(steps, first, third, color=color, alpha=0.25, linewidth=0)
    axes.plot(steps, median, color=color, label=model.name)


def main() -> None:
    """Draw the models side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for number, folder in enumerate(args.models):
        draw(axes, load_bundle(folder), Problem(seed=args.seed), f"C{number}")
    axes.set(xlabel="step of the ascent", ylabel="true rank of decode(z)", yscale="log")
    axes.invert_yaxis()
    axes.legend()
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
