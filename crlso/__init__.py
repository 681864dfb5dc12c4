"""crlso proposes neural architectures by gradient ascent in a learned latent space with a concave surrogate.

    >>> import crlso
    >>> model = crlso.train(crlso.load_table("nasbench201", "cifar10"), out="models/mine")
    >>> answer = crlso.optimize(model, crlso.Problem(num_architectures=4))

Names are imported when they are first used, so that `crlso.spaces` stays free of torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlso.architecture import Architecture
    from crlso.latent.bundle import load_bundle
    from crlso.latent.config import LatentConfig
    from crlso.networks import build, costs
    from crlso.search.ascent import optimize
    from crlso.search.problem import Answer, Constraint, Objective, Problem
    from crlso.spaces import get_space
    from crlso.tables import load_table, read_table
    from crlso.training import train

_HOMES = {
    "Architecture": "crlso.architecture",
    "load_bundle": "crlso.latent.bundle",
    "LatentConfig": "crlso.latent.config",
    "build": "crlso.networks",
    "costs": "crlso.networks",
    "optimize": "crlso.search.ascent",
    "Answer": "crlso.search.problem",
    "Constraint": "crlso.search.problem",
    "Objective": "crlso.search.problem",
    "Problem": "crlso.search.problem",
    "get_space": "crlso.spaces",
    "load_table": "crlso.tables",
    "read_table": "crlso.tables",
    "train": "crlso.training",
}

__all__ = [
    "Answer",
    "Architecture",
    "Constraint",
    "LatentConfig",
    "Objective",
    "Problem",
    "build",
    "costs",
    "get_space",
    "load_bundle",
    "load_table",
    "optimize",
    "read_table",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
