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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crlso.architecture import Architecture, Graph
from crlso.exceptions import ProblemError
from crlso.latent.model import Model
from crlso.latent.population import COSTS, cost_names
from crlso.search.certificate import frank_wolfe_gap
from crlso.search.excess import Excess
from crlso.search.problem import Answer, Bound, Edge, GraphView, Prediction, Problem, Proposal, Start
from crlso.spaces import SearchSpace

_TRAVEL = 3.0  # step lengths start at this many radii over the number of steps and add up to half of it
_FEASIBLE_STARTS = 0.5  # share of starts at known architectures that keep the limits, when there are limits
_POINTS_AT_ONCE, _LOGITS_AT_ONCE = 1024, 2**22  # that are decoded
_FLAT = 1e-12  # a gradient shorter than this has no direction


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


@torch.inference_mode()
def ascend(model: Model, problem: Problem, progress: Progress | None = None) -> Path:
    """Equation (1) from the problem's starts."""
    radius, steps, surrogate = model.ball.radius, problem.num_steps, model.vae.ensemble.gathered()
    first, starts = _starts(model, problem)
    limited = any(constraint.metric in COSTS for constraint in problem.constraints)
    excess = Excess(model.vae, problem.constraints) if limited else None
    z = np.ascontiguousarray(first.cpu().numpy().T)
    points, scores, gradients = [], [], []
    for step in range(steps + 1):
        if progress is not None:
            progress(step, torch.from_numpy(z.T))
        score, gradient = surrogate(z)
        points.append(z)
        scores.append(score)
        gradients.append(gradient)
        if excess is not None:
            gradient = gradient - excess.gradient(z)
        z = z + gradient * (_TRAVEL * radius / steps * (1 - step / steps) / np.maximum(_norms(gradient), _FLAT))
        z *= radius / np.maximum(_norms(z), radius)
    path, reached = _rows(points), torch.from_numpy(np.concatenate(scores))
    bound = float((reached + frank_wolfe_gap(_rows(gradients), path, radius)).min())
    return Path(path.to(first.device), reached.to(first.device), bound, starts)


@torch.inference_mode()
def visited(model: Model, path: Path) -> list[Candidate]:
    """The distinct classes along a path, each with its highest point and its re-encoded prediction."""
    points: dict[str, int] = {}
    found: dict[str, Architecture] = {}
    for point, graph in _graphs(model, path):
        arch = model.space.from_graph(graph)
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


def _norms(z: Float[np.ndarray, "Z B"]) -> Float[np.ndarray, "B"]:
    """Lengths of the columns."""
    lengths: Float[np.ndarray, "B"] = np.sqrt(np.einsum("zb,zb->b", z, z))
    return lengths


def _rows(steps: list[Float[np.ndarray, "Z B"]]) -> Float[Tensor, "P Z"]:
    """The columns of all steps, one after the other."""
    return torch.from_numpy(np.stack(steps).transpose(0, 2, 1).reshape(-1, len(steps[0])))


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
    if not problem.constraints:
        return True
    values = {**model.costs(candidate.arch), model.metric.name: candidate.predicted.mean}
    return all(constraint.admits(float(values[constraint.metric])) for constraint in problem.constraints)


def _graphs(model: Model, path: Path) -> Iterator[tuple[int, Graph]]:
    """Each distinct graph along a path and the highest point that decodes to it, highest first.

    Points are decoded in blocks that fit into a processor's cache: all of a long path would not fit into memory.
    """
    most = max(1, min(_POINTS_AT_ONCE, _LOGITS_AT_ONCE // model.vae.decoder.num_outputs))
    seen = set[bytes]()
    for points in path.score.argsort(descending=True, stable=True).split(most):
        nodes, edges = model.space.masked(*(logits.cpu().numpy() for logits in model.vae.decoder(path.z[points])))
        upper = np.triu_indices(edges.shape[1], 1)
        types = np.hstack([nodes, edges[:, upper[0], upper[1]]]).astype(np.uint8, order="C")
        texts = types.view(f"V{types.shape[1]}").ravel().tolist()
        for row, (point, text) in enumerate(zip(points.tolist(), texts, strict=True)):
            if text not in seen:
                seen.add(text)
                yield point, Graph(nodes[row], edges[row])


def _proposals(model: Model, problem: Problem, path: Path, chosen: list[Candidate]) -> list[Proposal]:
    points = torch.tensor([candidate.point for candidate in chosen])
    proposals = []
    for candidate, latent, score in zip(chosen, path.z[points].tolist(), path.score[points].tolist(), strict=True):
        arch, cost = candidate.arch, model.costs(candidate.arch)
        graph, svg = _portrait(model.space, arch.text)
        index = candidate.point % problem.num_starts
        start = path.starts[index].text if index < len(path.starts) else None
        proposals.append(
            Proposal(
                architecture=arch.text,
                graph=graph,
                predicted=candidate.predicted,
                at_latent=_bound(model, score, path.bound),
                measured=model.measured(arch),
                params=cost.get("params"),
                flops=cost.get("flops"),
                latent=tuple(latent),
                start=Start(index=index, architecture=start),
                svg=svg,
            )
        )
    return proposals


def _bound(model: Model, score: float, bound: float) -> Bound:
    """A score and a bound on scores in the metric's unit: the calibration keeps their order."""
    scores = torch.tensor([score, max(score, bound)], device=model.latents.device)
    value, best = model.vae.calibration(scores).tolist()
    return Bound(value=model.sign * value, gap=best - value, bound=model.sign * best)


@lru_cache(maxsize=512)  # the best of a space are proposed again and again, and drawing them is most of an answer
def _portrait(space: SearchSpace, text: str) -> tuple[GraphView, str]:
    """What an architecture looks like: its graph with the space's names, and its drawing."""
    arch, schema = space.parse(text), space.schema
    nodes, types = arch.graph.node_types, arch.graph.edge_types
    ends = zip(*np.nonzero(types), strict=True)
    edges = (Edge(source=int(i), target=int(j), type=schema.edge_types[types[i, j]]) for i, j in ends)
    view = GraphView(nodes=tuple(schema.node_types[kind] for kind in nodes), edges=tuple(edges))
    return view, space.draw(arch)


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
