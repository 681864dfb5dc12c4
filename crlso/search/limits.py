"""Limits on exact costs, kept by leaving out of a search what exceeds them: no budget is spent there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from crlso.architecture import Architecture
from crlso.evaluators.costs import COSTS
from crlso.exceptions import ProblemError
from crlso.networks import costs
from crlso.search.problem import Constraint


def within(archs: Sequence[Architecture], limits: Sequence[Constraint]) -> list[Architecture]:
    """The architectures whose exact costs keep all limits.

    Raises:
        ProblemError: a limit is on something else than a cost, or no architecture keeps them all.
        UnknownNameError: no network, hence no cost, is known for the space.
    """
    for limit in limits:
        if limit.metric not in COSTS:
            raise ProblemError(f"no limit can be set on {limit.metric!r}; limits are on {', '.join(COSTS)}")
    kept = [arch for arch in archs if _keeps(arch, limits)]
    if not kept:
        found = [asdict(costs(arch)) for arch in archs]
        ranges = (f"{name} from {min(c[name] for c in found):,} to {max(c[name] for c in found):,}" for name in COSTS)
        raise ProblemError(f"no candidate keeps all limits; there are {' and '.join(ranges)}")
    return kept


def _keeps(arch: Architecture, limits: Sequence[Constraint]) -> bool:
    counted = asdict(costs(arch))
    return all(limit.admits(float(counted[limit.metric])) for limit in limits)
