"""The directory of trained models: one bundle a folder."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from crlso.exceptions import BundleError, CrlsoError, ProblemError, unknown
from crlso.latent.model import Model
from crlso.spaces import space_names
from service.folders import Folders


class NotBundleError(CrlsoError):
    """What was brought to be served is no model."""


class Registry(Folders[Model]):
    """Models by name, or the one that a space has or that is chosen for it.

    Args:
        directory: holds the models.
        load: reads one.
        defaults: names of models that answer where a request names none and its space has several.
    """

    kind = "model"

    def __init__(self, directory: Path, load: Callable[[Path], Model], defaults: Collection[str] = ()) -> None:
        super().__init__(directory, load)
        self._defaults = defaults

    def resolve(self, space: str, name: str | None) -> Model:
        """The model that a request means.

        Args:
            space: name of the search space that is asked for.
            name: of the model; when left out, the space must have exactly one, or one that is chosen for it.

        Raises:
            UnknownNameError: no such space or model.
            ProblemError: the model belongs to another space, or the request must choose.
            BundleError: the model is broken, or none is there for the space.
        """
        if name is not None:
            model = self.get(name)
            known_space(space)  # a model may bring its space
            if model.space.name != space:
                raise ProblemError(
                    f"model {name!r} is of space {model.space.name!r}, not {space!r}: change one of them"
                )
            return model
        models, faults = self.check()
        known_space(space)
        fitting = [model for model in models.values() if model.space.name == space]
        chosen = [model for model in fitting if model.name in self._defaults]
        if len(fitting) > 1 and len(chosen) != 1:
            names = ", ".join(model.name for model in fitting)
            raise ProblemError(f"space {space!r} has several models: choose one as `model`, of {names}")
        if not fitting:
            raise BundleError(self.explain_absence(faults))
        return (chosen or fitting)[0]

    def explain_absence(self, faults: dict[str, str]) -> str:
        """Say that no model can answer, why, and how to get one."""
        broken = "".join(f"; {name} does not load: {reason}" for name, reason in faults.items())
        return (
            f"no model in {self.directory.name!r} can answer: train one with "
            f"`python -m crlso.train --space SPACE --dataset DATASET --out {self.directory.name}/NAME`{broken}"
        )


def known_space(space: str) -> str:
    """Refuse what is no name: nobody outside may have the service read a file.

    Raises:
        UnknownNameError: there is no such space.
    """
    family, at, depth = space.partition("@")
    if family not in space_names() or (at and not depth.isdecimal()):
        raise unknown("space", space, space_names())
    return space
