"""The directory of trained models: one bundle a folder, named like the folder, loaded when first asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from crlso.exceptions import BundleError, ProblemError, unknown
from crlso.latent.bundle import load_bundle
from crlso.latent.model import Model
from crlso.spaces import space_names

_log = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int], ...]


class Registry:
    """Models by name; what loads stays in memory, and what does not load leaves the others alone.

    A folder is read again when its files change, so a retrained or mended model needs no restart.

    Args:
        directory: holds the bundles; it may gain models, or come into being, while the service runs.
        load: reads one bundle and raises BundleError when it cannot.
    """

    def __init__(self, directory: Path, load: Callable[[Path], Model] = load_bundle) -> None:
        self._directory = directory
        self._load = load
        self._read: dict[str, tuple[Stamp, Model | str]] = {}
        self._lock = Lock()

    def names(self) -> list[str]:
        """Folders of the directory, broken bundles included; hidden ones are a training's work in progress."""
        if not self._directory.is_dir():
            return []
        return sorted(path.name for path in self._directory.iterdir() if path.is_dir() and path.name[0] != ".")

    def get(self, name: str) -> Model:
        """The model of that name.

        Raises:
            UnknownNameError: there is no such folder.
            BundleError: it does not hold a sound bundle.
        """
        if name not in (names := self.names()):
            raise unknown("model", name, names)
        with self._lock:  # two first requests must not load the same bundle twice
            stamp = _stamp(self._directory / name)
            if name not in self._read or self._read[name][0] != stamp:
                self._read[name] = stamp, self._model_or_fault(name)
            content = self._read[name][1]
        if isinstance(content, str):
            raise BundleError(content)
        return content

    def check(self) -> tuple[dict[str, Model], dict[str, str]]:
        """Every model that loads, and for every other one the reason why it does not."""
        models, faults = {}, {}
        for name in self.names():
            try:
                models[name] = self.get(name)
            except BundleError as error:
                faults[name] = str(error)
        return models, faults

    def resolve(self, space: str, name: str | None) -> Model:
        """The model that a request means.

        Args:
            space: name of the search space that is asked for.
            name: of the model; when left out, the space must have exactly one.

        Raises:
            UnknownNameError: no such space or model.
            ProblemError: the model belongs to another space, or the request must choose.
            BundleError: the model is broken, or none is there for the space.
        """
        if name is not None:
            model = self.get(name)
            _known(space)  # a model may bring its space
            if model.space.name != space:
                raise ProblemError(
                    f"model {name!r} is of space {model.space.name!r}, not {space!r}: change one of them"
                )
            return model
        models, faults = self.check()
        _known(space)
        fitting = [model for model in models.values() if model.space.name == space]
        if len(fitting) > 1:
            names = ", ".join(model.name for model in fitting)
            raise ProblemError(f"space {space!r} has several models: choose one as `model`, of {names}")
        if not fitting:
            raise BundleError(self.explain_absence(faults))
        return fitting[0]

    def explain_absence(self, faults: dict[str, str]) -> str:
        """Say that no model can answer, why, and how to get one."""
        broken = "".join(f"; {name} does not load: {reason}" for name, reason in faults.items())
        return (
            f"no model in {self._directory.name!r} can answer: train one with "
            f"`python -m crlso.train --space SPACE --dataset DATASET --out {self._directory.name}/NAME`{broken}"
        )

    def _model_or_fault(self, name: str) -> Model | str:
        try:
            return self._load(self._directory / name)
        except BundleError as error:
            _log.warning("model %s is left out: %s", name, error)
            return str(error)


def _known(space: str) -> None:
    """Refuse what is no name: nobody outside may have the service read a file."""
    if space not in space_names():
        raise unknown("space", space, space_names())


def _stamp(folder: Path) -> Stamp:
    """What changes when a file of the folder does."""
    found = ((path.name, path.stat()) for path in folder.iterdir())
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in found))
