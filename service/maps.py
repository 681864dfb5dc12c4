"""The maps of models, made once for each digest and kept as the bytes that are sent."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture
from crlso.exceptions import UnknownNameError
from crlso.latent.atlas import Atlas
from crlso.latent.model import Model
from crlso.search.problem import Prediction
from service.map_schemas import DrawnArchitecture, KnownArchitecture, ModelMap, Order

_KEPT = 4  # models whose maps stay in memory, some ten megabytes each


@dataclass(frozen=True, eq=False)
class Map:
    """A model's atlas as the service tells of it."""

    model: Model
    atlas: Atlas

    @cached_property
    def content(self) -> bytes:
        """The whole map as JSON."""
        model, atlas = self.model, self.atlas
        x, y = np.round(atlas.places, 4).T.tolist()
        whole = ModelMap(
            model=model.name,
            digest=model.digest,
            space=model.space.name,
            metric=model.metric.name,
            unit=model.metric.unit,
            direction=model.metric.direction,
            x=x,
            y=y,
            predicted=[_significant(value) for value in atlas.predicted.tolist()],
            measured=[None if np.isnan(value) else _significant(value) for value in atlas.measured.tolist()],
            params=self._costs("params"),
            flops=self._costs("flops"),
            twins=atlas.classes.tolist(),
        )
        return whole.model_dump_json().encode()

    @cached_property
    def compressed(self) -> bytes:
        """The same, in a fifth of the bytes."""
        return gzip.compress(self.content, 6, mtime=0)

    @cached_property
    def ranks(self) -> Int[np.ndarray, "P"]:
        """Place by measured value among those that have one, equal values alike; 0 for the others."""
        value = -self.model.sign * self.atlas.measured
        known = np.sort(value[~np.isnan(value)])
        return np.where(np.isnan(value), 0, 1 + np.searchsorted(known, value))

    def show(self, index: int) -> KnownArchitecture:
        """One architecture of the map.

        Raises:
            UnknownNameError: the map has no such entry.
        """
        atlas = self.atlas
        if not 0 <= index < len(atlas.architectures):
            raise UnknownNameError(f"no architecture {index}; known: 0 to {len(atlas.architectures) - 1}")
        cost = {name: int(column[index]) for name, column in atlas.costs.items()}
        measured = float(atlas.measured[index])
        x, y = atlas.places[index].tolist()
        return KnownArchitecture(
            index=index,
            architecture=atlas.architectures[index].text,
            predicted=Prediction(mean=float(atlas.predicted[index]), std=float(atlas.deviation[index])),
            measured=None if np.isnan(measured) else measured,
            rank=int(self.ranks[index]) or None,
            params=cost.get("params"),
            flops=cost.get("flops"),
            x=x,
            y=y,
        )

    def draw(self, index: int) -> DrawnArchitecture:
        """One architecture of the map, with its drawing.

        Raises:
            UnknownNameError: the map has no such entry.
        """
        shown, arch = self.show(index), self._architecture(index)
        twins = int(np.count_nonzero(self.atlas.classes == self.atlas.classes[index]))
        return DrawnArchitecture(**dict(shown), svg=self.model.space.draw(arch), twins=twins)

    def order(self, by: Order) -> Int[np.ndarray, "P"]:
        """Entries by a value, the best first, costs from the least; those without a value come last."""
        atlas, sign = self.atlas, -self.model.sign
        columns = {"predicted": sign * atlas.predicted, "measured": sign * atlas.measured, **atlas.costs}
        values: Float[np.ndarray, "P"] = columns.get(by, np.full(len(atlas.architectures), np.nan))
        return np.argsort(values, kind="stable")

    def _architecture(self, index: int) -> Architecture:
        return self.atlas.architectures[index]

    def _costs(self, name: str) -> list[int] | None:
        column = self.atlas.costs.get(name)
        return None if column is None else column.astype(int).tolist()


class Maps:
    """Maps by model; safe to call from several threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, str], Map] = OrderedDict()
        self._lock = Lock()

    def of(self, model: Model) -> Map:
        """The map of a model, made at the first call."""
        with self._lock:  # two first requests must not both make it
            key = model.name, model.digest
            if key not in self._made:
                self._made[key] = Map(model, Atlas.of(model))
            self._made.move_to_end(key)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
            return self._made[key]


def _significant(value: float) -> float:
    """Six digits: more than a picture shows."""
    return float(f"{value:.6g}")
