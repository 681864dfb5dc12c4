"""Trains architectures of example-space.yaml on scikit-learn's digits and prints a table of their accuracies.

`python measure.py 80` measures 80 random ones, `python measure.py '64|64|32|tanh|0.01'` those that it names.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

import crlso

EPOCHS, FOLDS = 15, 3


def accuracy(text: str) -> float:
    """Cross-validated accuracy in percent after a short training."""
    *widths, activation, rate = text.split("|")
    network = MLPClassifier(
        tuple(map(int, widths)), activation, learning_rate_init=float(rate), max_iter=EPOCHS, random_state=0
    )
    images, labels = load_digits(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return 100 * float(cross_val_score(network, images / 16, labels, cv=FOLDS).mean())


def main() -> None:
    """Measure what the command line names, or so many random architectures."""
    texts = sys.argv[1:]
    if len(texts) == 1 and texts[0].isdigit():
        space = crlso.get_space(str(Path(__file__).with_name("example-space.yaml")))
        texts = [arch.text for arch in space.sample(int(texts[0]), np.random.default_rng(0))]
    print("arch,accuracy")
    for text in texts:
        print(f"{text},{accuracy(text):.2f}")


if __name__ == "__main__":
    main()
