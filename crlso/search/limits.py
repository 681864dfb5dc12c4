"""Limits of a search: on exact costs, kept by leaving out what exceeds them, and on what has to be measured first.

No budget is spent on what is known to exceed a limit. Where only the measurement tells, as with a latency, what keeps
all limits is better than what does not, and of two that do not the one that exceeds them by less is better [Deb2000]_.
That is an order, and strategies learn from orders: an architecture beyond a limit is told to them as worse than any
value, so that none of them needs to know what a limit is.

.. [Deb2000] K. Deb. An Efficient Constraint Handling Method for Genetic Algorithms. Computer Methods in Applied
   Mechanics and Engineering 186, 2000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

from crlso.architecture import Architecture
from crlso.evaluators.costs import COSTS
from crlso.exceptions import ProblemError
from crlso.networks import costs
from crlso.search.problem import Constraint
from crlso.spaces import SearchSpace

_BEYOND = 1e12  # more than any objective's value


def excess(limits: Sequence[Constraint], values: Sequence[float]) -> float:
    """By how much of its bound the worst limit is exceeded, one value a limit; 0 where all are kept."""
    over = [0.0]
    for limit, value in zip(limits, values, strict=True):
        bounds = [(limit.max, 1.0), (limit.min, -1.0)]
        over += [sign * (value - bound) / max(abs(bound), 1e-9) for bound, sign in bounds if bound is not None]
    return max(over)


def feasible_first(gain: float, limits: Sequence[Constraint], values: Sequence[float]) -> float:
    """What a strategy is told of an architecture: its gain, or less than any gain; NaN where a measurement failed."""
    if math.isnan(gain) or any(map(math.isnan, values)):
        return math.nan
    over = excess(limits, values)
    return gain if over == 0.0 else -_BEYOND * (1.0 + over)


def within(archs: Sequence[Architecture], limits: Sequence[Constraint]) -> list[Architecture]:
    """The architectures whose exact costs keep all limits.

    Raises:
        ProblemError: a limit is on something else than a cost, or no architecture keeps them all.
        UnknownNameError: no network, hence no cost, is known for the space.
    """
    for limit in limits:
        if limit.metric not in COSTS:
            raise ProblemError(
                f"no limit can be set on {limit.metric!r}; limits are on {', '.join(COSTS)} or on what is measured"
            )
    kept = [arch for arch in archs if _keeps(arch, limits)]
    if not kept:
        found = [asdict(costs(arch)) for arch in archs]
        ranges = (f"{name} from {min(c[name] for c in found):,} to {max(c[name] for c in found):,}" for name in COSTS)
        raise ProblemError(f"no candidate keeps all limits; there are {' and '.join(ranges)}")
    return kept


def allowed(
    space: SearchSpace, limits: Sequence[Constraint], candidates: Sequence[Architecture] | None = None
) -> Sequence[Architecture] | None:
    """What a search within limits may ask for.

    Args:
        space: of the search.
        limits: on exact costs.
        candidates: what can be evaluated; all of the space when left out.

    Returns:
        `candidates` as they are where there is no limit.

    Raises:
        ProblemError: as `within` does, or the space is too large to list.
        UnknownNameError: no network, hence no cost, is known for the space.
    """
    if not limits:
        return candidates
    if candidates is None and not space.enumerable:
        raise ProblemError(f"{space.name} is too large to list what keeps the limits: leave them out")
    return within(list(space.enumerate()) if candidates is None else candidates, limits)


def _keeps(arch: Architecture, limits: Sequence[Constraint]) -> bool:
    counted = asdict(costs(arch))
    return all(limit.admits(float(counted[limit.metric])) for limit in limits)
