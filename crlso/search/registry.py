"""Search strategies by name. A new strategy is one module plus one line in `_STRATEGIES`.

Modules are imported when their strategy is used, so that only those who use a strategy need its libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from crlso.exceptions import ProblemError, unknown
from crlso.search.strategy import Strategy
from crlso.spaces import SearchSpace

_STRATEGIES = {
    "crlso": "crlso.search.crlso.Crlso",
    "gp": "crlso.search.peers.gp.Gp",
    "random": "crlso.search.peers.random.Random",
    "local": "crlso.search.peers.local.Local",
    "evolution": "crlso.search.peers.evolution.Evolution",
    "bananas": "crlso.search.peers.bananas.Bananas",
    "tpe": "crlso.search.peers.tpe.Tpe",
    "trees": "crlso.search.peers.trees.Trees",
    "nsga2": "crlso.search.peers.nsga2.Nsga2",
    "qnehvi": "crlso.search.peers.qnehvi.Qnehvi",
}


def strategy_names() -> list[str]:
    """Names that `make_strategy` accepts."""
    return list(_STRATEGIES)


def make_strategy(name: str, space: SearchSpace, **kwargs: Any) -> Strategy:
    """A strategy with an empty record.

    Args:
        name: of the strategy.
        space: to search in.
        kwargs: as `Strategy` takes them, and settings of the strategy's own.

    Raises:
        UnknownNameError: there is no strategy of that name; the message lists the known ones.
        ProblemError: it needs a library that is not installed, or does not take the arguments.
    """
    if name not in _STRATEGIES:
        raise unknown("strategy", name, _STRATEGIES)
    module, _, member = _STRATEGIES[name].rpartition(".")
    try:
        strategy: type[Strategy] = getattr(import_module(module), member)
    except ModuleNotFoundError as error:
        raise ProblemError(
            f"strategy {name} needs {error.name}, which is not installed: pip install 'crlso[bench]'"
        ) from error
    return strategy(space, **kwargs)
