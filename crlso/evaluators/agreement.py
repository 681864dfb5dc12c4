"""How well an evaluator orders what a table has measured, beside an order that costs nothing: by the number of weights.

The control counts a cell's params without its dead parts, those of its canonical twin; a supernet that ranks no better
than this may still know other things: then the sum of both ranks is better than either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from crlso.architecture import Architecture
from crlso.evaluators.base import Evaluator
from crlso.exceptions import ProblemError
from crlso.networks import costs
from crlso.spaces import get_space
from crlso.supernet.ranking import Estimate, rank
from crlso.tables import Table


@dataclass(frozen=True)
class Agreement:
    """Some architectures of a table, as the table, the evaluator and the control see them; more is better in each.

    Attributes:
        archs: distinct ones.
        truth: measured, times the metric's sign.
        guess: the evaluator's value, times its metric's sign.
        params: of the canonical twin.
    """

    archs: tuple[Architecture, ...]
    truth: Float[np.ndarray, "N"]
    guess: Float[np.ndarray, "N"]
    params: Float[np.ndarray, "N"]

    def figures(self, *, seed: int = 0) -> dict[str, dict[str, Estimate]]:
        """Those of `rank`: for the evaluator, for the control ("params"), and for the sum of both ranks ("both").

        Raises:
            ProblemError: there are too few architectures, or nothing in them to order.
        """
        both = rankdata(self.guess) + rankdata(self.params)
        orders = {"evaluator": self.guess, "params": self.params, "both": both}
        return {name: rank(order, self.truth, seed=seed) for name, order in orders.items()}


def compare(
    evaluator: Evaluator,
    table: Table,
    metric: str,
    *,
    sample: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Agreement:
    """Evaluate random rows of a table that have a value.

    Args:
        evaluator: its first metric is the guess.
        table: measurements.
        metric: the truth, by name.
        sample: how many rows.
        seed: of their choice.
        progress: told after each row how many are done.

    Raises:
        UnknownNameError: the table has no such metric, or no network is known for its space.
        ProblemError: there are not as many rows, or the evaluator cannot measure one of them.
    """
    column = table.column(metric)
    rows = np.flatnonzero(~np.isnan(column))
    if not 0 < sample <= len(rows):
        raise ProblemError(f"{sample} of {len(rows)} rows of {table.name} that have {metric}: take 1 to {len(rows)}")
    rows = np.random.default_rng(seed).choice(rows, size=sample, replace=False)
    archs, space = tuple(table.architectures()[row] for row in rows), get_space(table.space)
    guess = np.empty(sample)
    for number, arch in enumerate(archs):
        guess[number] = evaluator.metrics[0].sign * evaluator.evaluate(arch)[0]
        if progress is not None:
            progress(number + 1)
    params = np.array([costs(space.canonical(arch)).params for arch in archs], dtype=np.float64)
    return Agreement(archs, table.metric(metric).sign * column[rows], guess, params)
