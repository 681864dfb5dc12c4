"""A search in a supernet of a flexible space: what `crlso supernet search` does."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from crlso.exceptions import ProblemError
from crlso.search.problem import Whole
from crlso.supernet.derivation import derive
from crlso.supernet.devices import choose_device
from crlso.supernet.methods.dnad import DnadSettings
from crlso.supernet.presets import configure_search
from crlso.supernet.searching import SearchSettings, flexible_space, search
from crlso.supernet.sources import load_images
from crlso.supernet.teachers import FOLDER, train_teacher
from service.jobs.context import Context
from service.jobs.kinds.base import Catalogue, FolderName, JobRequest, Kind, Setting, Word, check_new, publish
from service.registry import known_space
from service.settings import Settings

_FRONT = ("architecture", "accuracy", "params", "flops")


class SupernetRequest(JobRequest):
    """Search by weight sharing, and serve what was trained as a supernet."""

    kind: Literal["supernet"]
    name: FolderName = Field(description="of the supernet")
    method: Word = "snps"
    preset: Word = "small"
    space: Word = "darts-flexible"
    images: FolderName = Field("digits", description="`digits`, or a name in the service's directory of images")
    set: tuple[Setting, ...] = Field((), max_length=50, description="changes of settings, `name=value` each")
    seed: Whole = Field(0, ge=0, lt=2**63)


def check(request: SupernetRequest, catalogue: Catalogue) -> None:
    """Find the faults that show at once."""
    check_new(request.name, catalogue.supernets)
    known_space(request.space)
    flexible_space(_settings(request, "digits").space)


def run(request: SupernetRequest, context: Context) -> dict[str, Any]:
    """Search, or go on with it."""
    made, place = context.folder / "supernet", context.settings.supernets / request.name
    settings = _settings(request, _source(request.images, context.settings))
    images, device = load_images(settings.dataset, size=settings.size), choose_device(context.settings.device)
    teacher = None
    if isinstance(settings.method, DnadSettings):
        epochs = settings.method.teacher_epochs
        teacher = train_teacher(
            settings,
            images,
            made / FOLDER,
            device,
            progress=lambda done, row: context.report(done, epochs, f"teacher, epoch {done} of {epochs}", **row),
        )
    records = search(
        settings,
        images,
        made,
        device,
        teacher=teacher,
        resume=True,
        progress=lambda done, row: context.report(
            done, settings.epochs, f"epoch {done} of at most {settings.epochs}", **row
        ),
    )
    front = derive(made)
    context.check()
    publish(made, place)
    shown = [{name: record[name] for name in _FRONT} for record in front]
    return {"supernet": request.name, "records": len(records), "front": shown}


def _settings(request: SupernetRequest, source: str) -> SearchSettings:
    for change in request.set:
        if change.partition("=")[0].strip() in ("dataset", "teacher"):
            raise ProblemError(f"{change!r}: images are chosen by `images`, a teacher is trained")
    given = {"space": request.space, "dataset": source, "seed": request.seed}
    return configure_search(request.method, request.preset, given, request.set)


def _source(name: str, settings: Settings) -> str:
    """Where the images of a name are; nothing outside the directory has a name."""
    if name == "digits":
        return name
    for path in (settings.images / name, settings.images / f"{name}.npz"):
        if path.exists():
            return str(path)
    found = sorted(path.stem for path in settings.images.glob("[!.]*")) if settings.images.is_dir() else []
    raise ProblemError(f"there are no images {name!r}: there are {', '.join(['digits', *found])}")


KIND = Kind(SupernetRequest, run, check, target=lambda request: f"supernet {request.name}", accelerated=True)
