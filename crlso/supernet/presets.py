"""Settings to start from: a method's paper has one preset, two cores without an accelerator others.

`small` is made for scikit-learn's digits, `cifar` for ten thousand images of CIFAR's size, which it halves, and five
cells: minutes a search on one core. What the released code of SNPS and DNAD does in 47,000 steps, these have some
hundreds for, so that its controller is scaled: about as many pairs are to die in a step as have to, γ may grow by a
tenth and not by a hundredth, and the architecture parameters move fifty times as far (docs/results/supernet_search.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crlso.exceptions import unknown
from crlso.settings import make_settings
from crlso.supernet.methods import METHODS
from crlso.supernet.paths import PathSettings
from crlso.supernet.searching import SearchSettings
from crlso.supernet.standalone import TrainingSettings

_QUICK: dict[str, Any] = {
    "warmup": 5,
    "learning_rate": 2e-3,
    "choice_learning_rate": 10.0,
    "controller": {"gamma": 1e-2, "growth": 1.1, "relaxation": 0.9, "rate": 3.0, "patience": 4},
}
_BRIEF = {**_QUICK, "warmup": 2, "controller": {**_QUICK["controller"], "rate": 1.2}}
_TAUGHT = {"enough": 4.6, "teacher_width": 16, "teacher_learning_rate": 0.1}
_CIFAR: dict[str, Any] = {"size": 16, "width": 8, "batch": 96, "record_every": 10, "epochs": 10}
_SMALL: dict[str, Any] = {"width": 8, "batch": 128, "record_every": 3}
SEARCHES: dict[str, dict[str, dict[str, Any]]] = {
    "small": {
        "darts": {**_SMALL, "record_every": None, "epochs": 20, "method": {"choice_learning_rate": 0.03}},
        "fx-darts": {**_SMALL, "epochs": 36, "method": {**_QUICK, "choice_learning_rate": 8.0, "enough": 0.1}},
        "snps": {**_SMALL, "epochs": 36, "method": {**_QUICK, "enough": 4.6}},
        "dnad": {
            **_SMALL,
            "epochs": 36,
            "method": {**_QUICK, **_TAUGHT, "teacher_epochs": 20},
        },
    },
    "cifar": {
        "darts": {**_CIFAR, "record_every": None, "epochs": 6, "method": {"choice_learning_rate": 0.03}},
        "fx-darts": {**_CIFAR, "method": {**_BRIEF, "choice_learning_rate": 8.0, "enough": 0.1}},
        "snps": {**_CIFAR, "method": {**_BRIEF, "enough": 4.6}},
        "dnad": {
            **_CIFAR,
            "method": {**_BRIEF, **_TAUGHT, "teacher_epochs": 8},
        },
    },
    "paper": {
        "darts": {"epochs": 50, "batch": 64},
        "fx-darts": {"epochs": 120, "batch": 128},
        "snps": {"epochs": 120, "batch": 128},
        "dnad": {"epochs": 120, "batch": 128},
    },
}
"""Of searches, by preset and method."""

_ALONE: dict[str, Any] = {"width": 8, "batch": 96, "learning_rate": 0.1, "auxiliary": 0.0, "drop_path": 0.0}
TRAININGS: dict[str, dict[str, Any]] = {
    "small": {**_ALONE, "epochs": 25},
    "cifar": {**_ALONE, "size": 16, "epochs": 10},
    "paper": {},
}
"""Of stand-alone trainings; the paper's are 600 epochs of DARTS."""

PATHS: dict[str, dict[str, Any]] = {
    "small": {
        "width": 8,
        "cells": 1,
        "stem_stride": 2,
        "batch": 128,
        "epochs": 160,
        "learning_rate": 0.15,
        "chances": (1, 4, 8, 8, 4),
    },
    "paper": {},
}
"""Of supernets trained by paths (docs/results/supernet_rank.md); the paper's is the benchmark's own network and
schedule, all operations alike."""


def configure_search(method: str, preset: str, given: Mapping[str, Any], changes: Iterable[str] = ()) -> SearchSettings:
    """A method's preset with some settings changed.

    Args:
        method: its name.
        preset: its name.
        given: settings that the caller knows, over the preset's.
        changes: `name=value` each, the value as JSON or as plain text; `method.name=value` for one of the method's.

    Raises:
        UnknownNameError: no such method or preset; the message lists the known ones.
        ProblemError: a setting that there is not, or a value that it does not take.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if preset not in SEARCHES:
        raise unknown("preset", preset, SEARCHES)
    chosen = SEARCHES[preset][method]
    settings = {**chosen, **given, "method": {"name": method, **chosen.get("method", {})}}
    return make_settings(SearchSettings, settings, changes)


def configure_training(preset: str, given: Mapping[str, Any], changes: Iterable[str] = ()) -> TrainingSettings:
    """The same for a stand-alone training."""
    if preset not in TRAININGS:
        raise unknown("preset", preset, TRAININGS)
    return make_settings(TrainingSettings, {**TRAININGS[preset], **given}, changes)


def configure_paths(preset: str, given: Mapping[str, Any], changes: Iterable[str] = ()) -> PathSettings:
    """The same for a supernet that is trained by paths."""
    if preset not in PATHS:
        raise unknown("preset", preset, PATHS)
    return make_settings(PathSettings, {**PATHS[preset], **given}, changes)
