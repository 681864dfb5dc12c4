"""A picture of a latent space on a disc: every known architecture as a point, the maximiser in the middle.

Volume matching (`geometry`) puts what only a share q of the architectures beats at radius R q^(1/Z), so that a ball of
Z dimensions is evenly filled. Plotting that radius would crowd all points at the rim: half of them lie beyond 0.92 R
where Z = 8. The picture does in two dimensions what the space does in Z,

    rho = q^(1/2),    q = (|z| / R)^Z,                                                                            (1)

and fills the disc as evenly: areas are shares of architectures, the best one in a hundred lie within a tenth of the
radius, and an ascent runs inwards. What is left of a latent is its direction. Its angle is that of the two principal
components of all directions, centred and scaled to the same variance, so that points spread all around. It shows which
architectures are alike only as far as those two components do: near on the map need not be near in the space, least of
all around the middle, where every direction is close.

Twins have one latent. They stand around it in a small spiral, as each has a measurement of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from crlso.architecture import Architecture
from crlso.latent.model import Model
from crlso.latent.population import cost_names, count_costs

_CROWDED = 0.4  # twins stand closer than points would on an evenly filled disc, by this factor
_GOLDEN = np.pi * (3 - np.sqrt(5))  # the angle between leaves: no two in one direction


@dataclass(frozen=True)
class Projection:
    """Equation (1), and the angle.

    Attributes:
        center: mean direction.
        axes: the two principal components, divided by their deviations.
        radius: of the latent ball.
    """

    center: Float[Tensor, "Z"]
    axes: Float[Tensor, "Z 2"]
    radius: float

    @classmethod
    @torch.no_grad()
    def of(cls, model: Model) -> Projection:
        """The projection of a model's space; the same for the same digest."""
        directions = F.normalize(model.latents.double().cpu(), dim=-1)
        center = directions.mean(dim=0)
        spread = torch.cov((directions - center).T).reshape(len(center), -1)
        variances, vectors = torch.linalg.eigh(spread)  # in ascending order
        axes, variances = vectors[:, -2:].flip(-1), variances[-2:].flip(-1)
        largest = axes.abs().argmax(dim=0)
        signs = axes.gather(0, largest[None]).sign()  # eigenvectors have none of their own
        return cls(center, axes * signs / variances.clamp(min=1e-12).sqrt(), model.ball.radius)

    @torch.no_grad()
    def __call__(self, z: Float[Tensor, "B Z"]) -> Float[np.ndarray, "B 2"]:
        """Places on the disc of radius one; latents on the ball's surface lie on its rim."""
        z = z.double().cpu()
        share = (z.norm(dim=-1, keepdim=True) / self.radius) ** z.shape[-1]
        flat = (F.normalize(z, dim=-1) - self.center) @ self.axes
        places: Float[np.ndarray, "B 2"] = (share.sqrt() * F.normalize(flat, dim=-1)).numpy()
        return places


@dataclass(frozen=True, eq=False)
class Atlas:
    """What there is to see of a model, one row a point.

    Attributes:
        architectures: the rows of the model's table, then the classes that the table has no row of.
        classes: rows with the same number are twins.
        places: on the disc.
        predicted: by the surrogate, in the metric's unit.
        deviation: of the ensemble's members.
        measured: by the table; NaN where there is no value.
        costs: exact, by name; none where crlso knows no networks of the space.
        projection: for what is not a row.
        index: row by notation.
    """

    architectures: tuple[Architecture, ...]
    classes: Int[np.ndarray, "P"]
    places: Float[np.ndarray, "P 2"]
    predicted: Float[np.ndarray, "P"]
    deviation: Float[np.ndarray, "P"]
    measured: Float[np.ndarray, "P"]
    costs: Mapping[str, Float[np.ndarray, "P"]]
    projection: Projection
    index: Mapping[str, int]

    @classmethod
    def of(cls, model: Model) -> Atlas:
        """The atlas of a model; some seconds for 15,625 architectures."""
        rows = [] if model.table is None else model.table.architectures()
        listed = {arch.key for arch in rows}
        shown = (*rows, *(arch for arch in model.known if arch.key not in listed))
        first = {arch.key: arch for arch in reversed(shown)}
        number = {key: position for position, key in enumerate(first)}
        classes = np.array([number[arch.key] for arch in shown])
        latents = model.encode(list(first.values()))
        mean, deviation = (values.cpu().numpy()[classes] for values in model.predict(latents))
        projection = Projection.of(model)
        measured = [model.measured(arch) for arch in shown]
        return cls(
            architectures=shown,
            classes=classes,
            places=projection(latents)[classes] + _spiral(classes),
            predicted=mean,
            deviation=deviation,
            measured=np.array([np.nan if value is None else value for value in measured]),
            costs=dict(zip(cost_names(model.space), count_costs(model.space, shown).T, strict=True)),
            projection=projection,
            index={arch.text: row for row, arch in enumerate(shown)},
        )


def _spiral(classes: Int[np.ndarray, "P"]) -> Float[np.ndarray, "P 2"]:
    """Where each twin stands beside its class's place: as the seeds of a sunflower, the first one in the middle."""
    order = np.argsort(classes, kind="stable")
    begin = np.searchsorted(classes[order], classes[order])
    seed = np.empty(len(classes))
    seed[order] = np.arange(len(classes)) - begin
    reach = _CROWDED * np.sqrt(np.pi * seed / len(classes))
    return np.column_stack([reach * np.cos(_GOLDEN * seed), reach * np.sin(_GOLDEN * seed)])
