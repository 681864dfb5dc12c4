"""From a table to a latent space on disk: what `crlso train` and `python -m crlso.train` do.

With labels for most classes the latent space learns them as they are. With few, a teacher ranks all classes first and
the space learns its ranking, as CR-LSO lets a predictor label what has no label. Either way the calibration to the
metric's unit uses the measured values alone. A space too large to enumerate is explored without labels before.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from crlso.architecture import Architecture
from crlso.exceptions import BundleError, ProblemError
from crlso.latent.bundle import check_free, load_bundle, save_bundle
from crlso.latent.config import PRESETS, LatentConfig
from crlso.latent.model import Model
from crlso.latent.objectives import Targets
from crlso.latent.population import Labels, Population, count_costs, label_classes, population_of
from crlso.latent.space import explore
from crlso.latent.teacher import teach
from crlso.latent.trainer import Progress, Trainer
from crlso.latent.vae import GraphVAE
from crlso.spaces import get_space
from crlso.tables import Metric, Table

_TEACHER_BELOW = 0.5  # share of classes with a label below which the teacher ranks all of them
_SHOWN = 5000  # sampled classes that a bundle of a large space knows, beside those of the table
_FEWEST = 10  # labels; fewer say nothing about the shape of a ranking


@dataclass(frozen=True)
class _Split:
    """The table's measured rows, and which of them the training may see."""

    architectures: list[Architecture]
    values: Float[np.ndarray, "D"]
    seen: Bool[np.ndarray, "D"]


def train(
    table: Table,
    out: str | Path,
    *,
    metric: str | None = None,
    config: LatentConfig | None = None,
    seed: int = 0,
    labels: int | None = None,
    holdout: float = 0.0,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Model:
    """Learn a latent space and save it as a bundle.

    Args:
        table: measurements of architectures of a space.
        out: directory of the bundle; its state while training is kept beside it.
        metric: which of the table's; its first when left out.
        config: settings; when left out the preset `default`, or `large` where the space cannot be enumerated.
        seed: of initial weights, order, noise and the choice of labels.
        labels: train on so many of the table's rows, chosen at random; all when left out.
        holdout: share of the rows, chosen at random, that only the evaluation sees.
        resume: continue a training of the same table and settings that was stopped.
        overwrite: replace a bundle that is there already.
        device: where to train, as torch names it.
        progress: called after each epoch.

    Raises:
        UnknownNameError: the table has no such metric.
        ProblemError: there are not enough labels or all are equal, the device is not there, or the settings make the
            training diverge.
        BundleError: the directory is taken, or there is nothing to resume.
    """
    out = Path(out)
    check_free(out, overwrite=overwrite)
    place = _place(device)
    space, described = get_space(table.space), table.metric(metric or table.metrics[0].name)
    single = Table(table.space, table.name, table.texts, {described: table.column(described.name)})
    config = config or PRESETS["default" if space.enumerable else "large"]
    split = _split(single, described, seed, labels, holdout)
    seen = [arch for arch, flag in zip(split.architectures, split.seen, strict=True) if flag]
    request = {"seed": seed, "labels": int(split.seen.sum()), "holdout": holdout, "data": single.digest}
    checkpoint = _checkpoint(out)
    if not resume:
        _open_workshop(checkpoint.parent)
    values = described.sign * split.values[split.seen]
    if space.enumerable:
        population = population_of(space)
        vae = _fit(
            population, label_classes(population, seen, values), config, request, checkpoint, resume, place, progress
        )
    else:
        explored = explore(
            space, config, seed=seed, device=place, progress=progress, checkpoint=checkpoint, resume=resume
        )
        vae = explored.tuned(seen, values, seed=seed).vae
        population, _ = explored.classes_with(split.architectures, _SHOWN)
    known = label_classes(population, seen, values)
    graphs = vae.collate(arch.graph for arch in population.representatives).to(place)
    vae.enclose(graphs)
    with torch.no_grad():
        latents = vae.encode(graphs)
        scores = vae.score(latents).cpu().numpy()
    if not np.isfinite(scores).all():
        raise ProblemError("the training diverged, scores are not finite: lower learning_rate")
    vae.calibration.fit(scores[known.known], known.values[known.known])
    provenance = {
        "table": table.name,
        "training": request,
        "quality": _quality(vae, population, latents, scores, split, described.sign),
        "versions": {name: version(name) for name in ("crlso", "torch", "torch-geometric", "numpy")},
    }
    texts = tuple(arch.text for arch in population.representatives)
    save_bundle(out, vae, space, described, texts, latents, single, provenance, overwrite=overwrite)
    shutil.rmtree(_workshop(out), ignore_errors=True)
    return load_bundle(out, place)


def _place(device: str) -> torch.device:
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ProblemError(f"device {device!r} cannot be used ({reason}): train on cpu, or name another") from error
    return place


def _split(table: Table, metric: Metric, seed: int, labels: int | None, holdout: float) -> _Split:
    rows = np.flatnonzero(~np.isnan(table.column(metric.name)))
    architectures = table.architectures()
    if not 0.0 <= holdout < 1.0:
        raise ProblemError(f"holdout is {holdout:g}: it is a share, from 0 to below 1")
    shown = np.random.default_rng(seed).permutation(len(rows))[round(holdout * len(rows)) :]
    seen = np.zeros(len(rows), dtype=bool)
    seen[shown if labels is None else shown[: max(labels, 0)]] = True
    if seen.sum() < (needed := max(_FEWEST, labels or 0)):
        raise ProblemError(
            f"{int(seen.sum())} labels to train on, of {len(rows)} measured rows: needed are {needed}"
            + (" and a smaller holdout" if holdout else "")
        )
    values = table.column(metric.name)[rows]
    if np.ptp(values[seen]) == 0:
        raise ProblemError(f"all {int(seen.sum())} labels are {values[seen][0]:g}: there is nothing to rank")
    return _Split([architectures[row] for row in rows], values, seen)


def _fit(
    population: Population,
    labels: Labels,
    config: LatentConfig,
    request: dict[str, Any],
    checkpoint: Path,
    resume: bool,
    device: torch.device,
    progress: Progress | None,
) -> GraphVAE:
    """Train, or continue to, with the state of the last epoch kept beside the bundle-to-be."""
    space = get_space(population.representatives[0].space)
    values, known = labels.values, labels.known
    if known.mean() < _TEACHER_BELOW:
        with threadpool_limits(torch.get_num_threads()):  # torch's own limit does not reach scipy's algebra
            values = teach(population, space.schema, values, known)
        known = np.ones(len(population), dtype=bool)
    targets = Targets(population, space.schema, values, known, count_costs(space, population.representatives), device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request["seed"])
        vae = GraphVAE(config, space.schema)
    identity = f"{request} {config.model_dump_json()}"
    graphs = vae.collate(arch.graph for arch in population.representatives)
    trainer = Trainer(vae.to(device), targets, graphs, request["seed"], device, identity)
    if resume:
        trainer.resume(checkpoint)
    trainer.fit(checkpoint, progress)
    return vae


def resumable(out: str | Path) -> bool:
    """Whether a training for this directory was stopped that `train(resume=True)` would continue."""
    return _checkpoint(Path(out)).is_file()


def _checkpoint(out: Path) -> Path:
    return _workshop(out) / "checkpoint.pt"


def _workshop(out: Path) -> Path:
    return out.with_name(f".{out.name}.training")


def _open_workshop(workshop: Path) -> None:
    try:
        workshop.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{workshop} cannot be written: {error.strerror or error}") from error


def _quality(
    vae: GraphVAE,
    population: Population,
    latents: torch.Tensor,
    scores: Float[np.ndarray, "K"],
    split: _Split,
    sign: float,
) -> dict[str, float]:
    """What the manifest says of a model: ranking on seen and unseen rows, and reconstruction.

    `tau_new_classes` leaves out the unseen rows that have a twin among the seen ones.
    """
    space = get_space(population.representatives[0].space)
    classes = np.array([population.index[arch.key] for arch in split.architectures])
    new = ~np.isin(classes, classes[split.seen])
    groups = {"tau_seen": split.seen, "tau_unseen": ~split.seen, "tau_new_classes": new}
    with torch.no_grad():
        nodes, edges = vae.decoder(latents)
    decoded = space.decode(nodes.cpu().numpy(), edges.cpu().numpy())
    same = [found == arch for found, arch in zip(decoded, population.representatives, strict=True)]
    quality = {"reconstruction": float(np.mean(same))}
    for name, rows in groups.items():
        values = sign * split.values[rows]
        if len(np.unique(values)) > 1:  # where all are equal there is no ranking to compare with
            quality[name] = float(kendalltau(scores[classes[rows]], values).statistic)
    return quality
