"""Latent optimisation: projected gradient ascent on the concave score, the whole path decoded.

From every start, for t = 0 … T-1,

    z ← Π_ball( z + η_t ĝ ),    η_t = 3R/T (1 - t/T),                                                             (1)

with ĝ the normalised gradient of the score, less that of the predicted excess over the limits. What all points on all
paths decode to is encoded again and ranked by f(encode(decode(z))): the surrogate's opinion of the architecture and
not of the point. Limits on costs are then kept exactly, since exact costs are known.

CR-LSO's released loop takes one step from a noisy copy of the best latents, with its sign the wrong way round
(docs/paper-map.md), and decodes only the end point.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from crlso.architecture import Architecture, Graph
from crlso.exceptions import ProblemError
from crlso.latent.model import Model
from crlso.latent.population import COSTS, cost_names
from crlso.search.certificate import frank_wolfe_gap
from crlso.search.problem import Answer, Bound, Constraint, Edge, GraphView, Prediction, Problem, Proposal, Start

_TRAVEL = 3.0  # step lengths start at this many radii over the number of steps and add up to half of it
_FEASIBLE_STARTS = 0.5  # share of starts at known architectures that keep the limits, when there are limits
_MARGIN = 0.02  # limits are aimed at from this far inside, in standard deviations of the logarithmic cost
_FAR = 10.0  # an excess beyond this many standard deviations pulls no more: limits may be infinite


Progress = Callable[[int, Float[Tensor, "S Z"]], None]
"""Told the number of the step, from 0, and where the ascents of all starts are."""


@dataclass(frozen=True)
class Path:
    """Every point that an ascent visited, starts first.

    Attributes:
        z: points in the order of steps, then starts.
        score: the surrogate's score at each.
        bound: no point of the ball has a larger score.
        starts: architectures that the first starts are latents of.
    """

    z: Float[Tensor, "P Z"]
    score: Float[Tensor, "P"]
    bound: float
    starts: tuple[Architecture, ...]


@dataclass(frozen=True)
class Candidate:
    """A visited architecture: its class's representative, and the best point that decodes to the class."""

    arch: Architecture
    point: int
    predicted: Prediction


def optimize(model: Model, problem: Problem, progress: Progress | None = None) -> Answer:
    """Propose architectures by ascent in a model's latent space.

    The answer depends on the model's digest and on the problem, and on nothing else but its elapsed time; who looks on
    at its progress does not change it.

    Raises:
        ProblemError: the objective is not the model's, a limit is on an unknown metric, or nothing keeps the limits.
        ArchitectureError: an architecture of `start_from` or `exclude` is none of the space.
    """
    began = time.perf_counter()
    _check(model, problem)
    path = ascend(model, problem, progress)
    candidates = visited(model, path)
    excluded = {model.space.parse(text).key for text in problem.exclude}
    feasible = [c for c in candidates if c.arch.key not in excluded and _admissible(model, problem, c)]
    if not feasible:
        raise ProblemError(_explain_nothing(model, problem))
    ranked = sorted(feasible, key=lambda c: (-model.sign * c.predicted.mean, c.arch.text))
    chosen = ranked[: problem.num_architectures]
    top = int(path.score.argmax())
    return Answer(
        proposals=tuple(_proposals(model, problem, path, chosen)),
        certificate=_bound(model, float(path.score[top]), path.bound),
        visited=len(candidates),
        model=model.name,
        digest=model.digest,
        seed=problem.seed,
        elapsed_ms=1e3 * (time.perf_counter() - began),
    )


@torch.no_grad()
def ascend(model: Model, problem: Problem, progress: Progress | None = None) -> Path:
    """Equation (1) from the problem's starts."""
    ball, steps, surrogate = model.ball, problem.num_steps, model.vae.ensemble.gathered()
    z, starts = _starts(model, problem)
    limits = _cost_limits(model, problem.constraints)
    points, scores, gradients = [], [], []
    for step in range(steps + 1):
        if progress is not None:
            progress(step, z)
        score, gradient = surrogate(z)
        points.append(z)
        scores.append(score)
        gradients.append(gradient)
        if limits is not None:
            gradient = gradient - _excess_gradient(model, z, limits)
        length = _TRAVEL * ball.radius / steps * (1 - step / steps)
        z = ball.project(z + length * F.normalize(gradient, dim=-1))
    path, score = torch.cat(points), torch.cat(scores)
    bound = (score + frank_wolfe_gap(torch.cat(gradients), path, ball.radius)).min()
    return Path(path, score, float(bound), starts)


@torch.no_grad()
def visited(model: Model, path: Path) -> list[Candidate]:
    """The distinct classes along a path, each with its highest point and its re-encoded prediction."""
    nodes, edges = model.space.masked(*(logits.cpu().numpy() for logits in model.vae.decoder(path.z)))
    points: dict[str, int] = {}
    found: dict[str, Architecture] = {}
    order = path.score.argsort(descending=True, stable=True).cpu().numpy()
    for point in _first_of_each(nodes, edges, order).tolist():
        arch = model.space.from_graph(Graph(nodes[point], edges[point]))
        if points.setdefault(arch.key, point) == point:
            found[arch.key] = model.space.canonical(arch)
    means, stds = model.predict(model.encode(list(found.values())))
    return [
        Candidate(arch, points[key], Prediction(mean=mean, std=std))
        for (key, arch), mean, std in zip(found.items(), means.tolist(), stds.tolist(), strict=True)
    ]


def _check(model: Model, problem: Problem) -> None:
    metric, objective = model.metric, problem.objective
    if objective is not None and objective.metric != metric.name:
        raise ProblemError(f"model {model.name!r} has learned {metric.name!r}, not {objective.metric!r}: change one")
    if objective is not None and objective.direction not in (None, metric.direction):
        raise ProblemError(
            f"the surrogate of {metric.name!r} is concave only towards {metric.direction!r}: the other direction has "
            "no certificate and is not offered"
        )
    for constraint in problem.constraints:
        if constraint.metric not in (*cost_names(model.space), metric.name):
            names = ", ".join((*cost_names(model.space), metric.name))
            raise ProblemError(f"no limit can be set on {constraint.metric!r}; limits are on {names}")


def _starts(model: Model, problem: Problem) -> tuple[Float[Tensor, "S Z"], tuple[Architecture, ...]]:
    """Latents of `start_from`, of feasible architectures where there are limits, and draws of the prior."""
    generator = torch.Generator(model.latents.device).manual_seed(problem.seed)
    given = tuple(model.space.parse(text) for text in problem.start_from)
    rest = problem.num_starts - len(given)
    drawn = model.ball.sample(rest, generator)
    if problem.constraints and rest:
        rows = _feasible_rows(model, problem)
        rng = np.random.default_rng(problem.seed)
        picked = rng.permutation(rows)[: int(np.ceil(_FEASIBLE_STARTS * rest))]
        drawn[: len(picked)] = model.latents[torch.from_numpy(picked)]
    return torch.cat([model.encode(given), drawn]) if given else drawn, given


def _feasible_rows(model: Model, problem: Problem) -> Int[np.ndarray, "F"]:
    """Known architectures that keep the limits, by exact cost and predicted metric."""
    kept = [
        [constraint.admits(value) for value in _known(model, constraint.metric).tolist()]
        for constraint in problem.constraints
    ]
    return np.flatnonzero(np.all(kept, axis=0))


def _known(model: Model, metric: str) -> Float[np.ndarray, "K"]:
    """A cost or the predicted metric of every known architecture."""
    return model.known_predictions if metric == model.metric.name else model.known_costs[metric]


def _admissible(model: Model, problem: Problem, candidate: Candidate) -> bool:
    """Whether a visited architecture keeps the limits."""
    values = {**model.costs(candidate.arch), model.metric.name: candidate.predicted.mean}
    return all(constraint.admits(float(values[constraint.metric])) for constraint in problem.constraints)


def _cost_limits(
    model: Model, constraints: tuple[Constraint, ...]
) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"]] | None:
    """Lower and upper limits of the costs in the heads' standardised logarithms; None without a limit on costs."""
    limited = [constraint for constraint in constraints if constraint.metric in COSTS]
    if not limited:
        return None
    lower, upper = np.zeros(len(COSTS)), np.full(len(COSTS), np.inf)
    for constraint in limited:
        cost = COSTS.index(constraint.metric)
        lower[cost] = max(lower[cost], constraint.min or 0.0)
        upper[cost] = min(upper[cost], np.inf if constraint.max is None else max(constraint.max, 0.0))
    with np.errstate(divide="ignore"):  # a limit of zero is one of minus infinity in logarithms
        low, high = (torch.from_numpy(np.log(limit)).float().to(model.latents.device) for limit in (lower, upper))
    center, scale = model.vae.cost_center, model.vae.cost_scale
    return (low - center) / scale + _MARGIN, (high - center) / scale - _MARGIN


def _excess_gradient(
    model: Model, z: Float[Tensor, "B Z"], limits: tuple[Float[Tensor, "C"], Float[Tensor, "C"]]
) -> Float[Tensor, "B Z"]:
    """Gradient of how far the predicted costs are beyond the limits."""
    with torch.enable_grad():
        inner = z.detach().requires_grad_()
        predicted = model.vae.costs(inner)
        excess = (limits[0] - predicted).clamp(min=0.0, max=_FAR) + (predicted - limits[1]).clamp(min=0.0, max=_FAR)
        (gradient,) = torch.autograd.grad(excess.sum(), inner)
    return gradient


def _first_of_each(
    nodes: Int[np.ndarray, "P N"], edges: Int[np.ndarray, "P N N"], order: Int[np.ndarray, "P"]
) -> Int[np.ndarray, "D"]:
    """Of equal graphs the row that comes first in an order; the rows in that order."""
    upper = np.triu_indices(edges.shape[1], 1)
    rows = np.column_stack([nodes, edges[:, upper[0], upper[1]]]).astype(np.uint8)[order]
    packed = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").ravel()
    _, first = np.unique(packed, return_index=True)
    return order[np.sort(first)]


def _proposals(model: Model, problem: Problem, path: Path, chosen: list[Candidate]) -> list[Proposal]:
    points = torch.tensor([candidate.point for candidate in chosen])
    proposals = []
    for candidate, latent, score in zip(chosen, path.z[points].tolist(), path.score[points].tolist(), strict=True):
        arch, cost = candidate.arch, model.costs(candidate.arch)
        index = candidate.point % problem.num_starts
        start = path.starts[index].text if index < len(path.starts) else None
        proposals.append(
            Proposal(
                architecture=arch.text,
                graph=_view(model, arch),
                predicted=candidate.predicted,
                at_latent=_bound(model, score, path.bound),
                measured=model.measured(arch),
                params=cost.get("params"),
                flops=cost.get("flops"),
                latent=tuple(latent),
                start=Start(index=index, architecture=start),
                svg=model.space.draw(arch),
            )
        )
    return proposals


def _bound(model: Model, score: float, bound: float) -> Bound:
    """A score and a bound on scores in the metric's unit: the calibration keeps their order."""
    scores = torch.tensor([score, max(score, bound)], device=model.latents.device)
    value, best = model.vae.calibration(scores).tolist()
    return Bound(value=model.sign * value, gap=best - value, bound=model.sign * best)


def _view(model: Model, arch: Architecture) -> GraphView:
    schema, graph = model.space.schema, arch.graph
    ends = zip(*np.nonzero(graph.edge_types), strict=True)
    edges = (Edge(source=int(i), target=int(j), type=schema.edge_types[graph.edge_types[i, j]]) for i, j in ends)
    return GraphView(nodes=tuple(schema.node_types[kind] for kind in graph.node_types), edges=tuple(edges))


def _explain_nothing(model: Model, problem: Problem) -> str:
    """Why no proposal is left, and what would be."""
    if not problem.constraints:
        return "every architecture that the ascent visited is excluded: exclude fewer or take more starts"
    if len(_feasible_rows(model, problem)):
        return (
            "some architectures keep the limits, but the ascent visited none of them that is not excluded: "
            "take more starts or loosen the limits"
        )
    ranges = []
    for name in dict.fromkeys(constraint.metric for constraint in problem.constraints):
        values = _known(model, name)
        ranges.append(f"{name} from {values.min():.6g} to {values.max():.6g}")
    return f"no architecture of {model.space.name} keeps all limits; there are {' and '.join(ranges)}"
