"""From normal scores back to values: what volumes of several objectives are measured in.

Processes are fitted to normal scores, which have no outliers; but a volume in scores counts the steps between ranks and
not what a user gains. So beliefs are about scores s and gains are of values y_q = w_q(s), with a monotone map for each
objective: linear from one told value to the next. Beyond the best it goes on at the mean slope from the median to the
best, yet a best that several share is a bound, as the smallest number of params is; below the worst it stays. Values
are standardised. Of an objective that is known of every architecture (`counted`) the scores are the standardised values
themselves.

Volumes begin at the worst value told. A reference nearer to the front, such as Tukey's fence of what was told, cuts off
the end where one objective is bought dearly with the other (docs/results/pareto.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from crlso.search.process import mean_excess, normal_scores


@dataclass(frozen=True)
class Warp:
    """The map of the module's header, an objective at a time.

    Attributes:
        scores: of what was told, the processes' targets.
        values: of what was told, standardised.
        center, scale: of the values before that.
        knots: scores and values of each objective in ascending order, the ends beyond what was told included.
    """

    scores: Float[np.ndarray, "D Q"]
    values: Float[np.ndarray, "D Q"]
    center: Float[np.ndarray, "Q"]
    scale: Float[np.ndarray, "Q"]
    knots: tuple[tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]], ...]

    @classmethod
    def of(cls, values: Float[np.ndarray, "D Q"], known: Collection[int] = ()) -> Warp:
        """Learn the map of each objective; those of the known ones are identities."""
        scores = np.stack([normal_scores(column) for column in values.T], axis=1)
        spread = values.std(axis=0)
        center, scale = values.mean(axis=0), np.where(spread > 0, spread, 1.0)
        standard = (values - center) / scale
        knots = [_knots(*columns) for columns in zip(scores.T, standard.T, strict=True)]
        for q in known:
            scores[:, q] = standard[:, q]
            line = np.array([standard[:, q].min(), standard[:, q].max() + 1])
            knots[q] = (line, line)
        return cls(scores, standard, center, scale, tuple(knots))

    @property
    def reference(self) -> Float[np.ndarray, "Q"]:
        """Where volumes begin: the worst values."""
        worst: Float[np.ndarray, "Q"] = self.values.min(axis=0)
        return worst

    def __call__(self, scores: Float[np.ndarray, "*B Q"]) -> Float[np.ndarray, "*B Q"]:
        """Values at scores."""
        columns = zip(np.moveaxis(scores, -1, 0), self.knots, strict=True)
        values: Float[np.ndarray, "*B Q"] = np.stack([_linear(column, *knots) for column, knots in columns], axis=-1)
        return values

    def mean_excess(
        self, q: int, mean: Float[np.ndarray, "K"], std: Float[np.ndarray, "K"], levels: Float[np.ndarray, "V"]
    ) -> Float[np.ndarray, "K V"]:
        """E max(0, y_q - v) for scores N(mean, std²), at levels from the reference up; zero at infinite ones.

        In s the excess is linear between kinks, of which each gives the mean excess of the score over it.
        """
        x, y = self.knots[q]
        slopes = np.diff(y) / np.diff(x)
        never = (levels > y[-1]) & (slopes[-1] == 0) | np.isinf(levels)
        start = _linear(np.where(never, y[-1], levels), y, x)
        slope = np.where(never, 0.0, slopes[np.clip(np.searchsorted(x, start, side="right") - 1, 0, len(slopes) - 1)])
        kinks = np.where(x[1:-1, None] > start, np.diff(slopes)[:, None], 0.0) * ~never
        excess: Float[np.ndarray, "K V"] = mean_excess(mean, std, start) * slope
        excess += mean_excess(mean, std, x[1:-1]) @ kinks
        return excess


def _linear(
    at: Float[np.ndarray, "*B"], x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "*B"]:
    """Interpolation from one knot to the next, the outer segments prolonged; of equal knots the lowest counts."""
    right = np.searchsorted(x, at).clip(1, len(x) - 1)
    run = x[right] - x[right - 1]
    line: Float[np.ndarray, "*B"] = y[right - 1] + (y[right] - y[right - 1]) * np.where(
        run > 0, (at - x[right - 1]) / np.where(run > 0, run, 1.0), 1.0
    )
    return line


def _knots(
    scores: Float[np.ndarray, "D"], values: Float[np.ndarray, "D"]
) -> tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]:
    x, first = np.unique(scores, return_index=True)
    y = values[first]
    bounded = x[-1] <= 0 or np.count_nonzero(scores == x[-1]) > 1
    slope = 0.0 if bounded else (y[-1] - np.median(y)) / x[-1]
    return np.hstack([x[0] - 1, x, x[-1] + 1]), np.hstack([y[0], y, y[-1] + slope])
