"""Methods that search in a supernet; a new one is a module with what `Method` asks for and two lines here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from crlso.exceptions import ProblemError
from crlso.networks.darts import StackedCells
from crlso.supernet.methods.base import Method, Setup
from crlso.supernet.methods.darts import Darts, DartsSettings
from crlso.supernet.methods.dnad import Dnad, DnadSettings
from crlso.supernet.methods.fx_darts import FxDarts, FxDartsSettings
from crlso.supernet.methods.snps import Snps, SnpsSettings

AnySettings = Annotated[DartsSettings | FxDartsSettings | SnpsSettings | DnadSettings, Field(discriminator="name")]
"""Of whichever method."""

METHODS = (Darts.name, FxDarts.name, Snps.name, Dnad.name)


def make_method(
    settings: AnySettings, setup: Setup, teacher: StackedCells | None = None, images: Tensor | None = None
) -> Method:
    """The method of some settings, at its beginning.

    Args:
        settings: of a method; their name says which.
        setup: what is searched in.
        teacher: a trained network, for methods that distil.
        images: a few, as the supernet sees them, likewise.

    Raises:
        ProblemError: the method needs a teacher and there is none, or it does not fit.
    """
    match settings:
        case DartsSettings():
            return Darts(settings, setup)
        case FxDartsSettings():
            return FxDarts(settings, setup)
        case SnpsSettings():
            return Snps(settings, setup)
        case DnadSettings():
            if teacher is None or images is None:
                raise ProblemError("dnad distils a teacher: give one")
            return Dnad(settings, setup, teacher, images)


__all__ = ["METHODS", "AnySettings", "Method", "Setup", "make_method"]
