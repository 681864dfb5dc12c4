"""Any architecture of a space as a file: its drawing, its network as ONNX, and a script that builds it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from crlso.architecture import Architecture
from crlso.exceptions import unknown
from crlso.networks import has_networks
from crlso.networks.export import export
from crlso.spaces import SearchSpace, get_space, space_names
from service import problems
from service.registry import Registry, known_space
from service.workers import Workers

_ERRORS = problems.declare(
    problems.UNKNOWN_NAME,
    problems.INVALID,
    problems.ARCHITECTURE,
    problems.UNSOLVABLE,
    problems.BUSY,
    *problems.GUARDED,
)
_MEDIA = {"onnx": ("model/onnx", "onnx"), "python": ("text/x-python", "py")}

Text = Annotated[
    str, Query(max_length=20_000, description="in the space's native notation; longer ones do not fit a URL")
]

_SCRIPT = '''"""A network of {space}, as crlso proposed it: pip install crlso"""

import crlso
from crlso.spaces import get_space

ARCHITECTURE = {text}


def build(num_classes: int = {classes}, input_shape: tuple[int, int, int] = {shape}):
    """The network, freshly initialised: images [B, C, H, W] to logits [B, num_classes]."""
    return crlso.build(get_space({space!r}).parse(ARCHITECTURE), num_classes, input_shape)


if __name__ == "__main__":
    print(build())
'''


def make_router(registry: Registry, workers: Workers) -> APIRouter:
    """Read-only paths below a space."""
    router = APIRouter(prefix="/v1/spaces/{space}", tags=["files"], responses=_ERRORS)

    def parse(name: str, text: str) -> Architecture:
        return _space(registry, name).parse(text)

    def draw(name: str, text: str) -> str:
        return _space(registry, name).draw(parse(name, text))

    def write(name: str, text: str, form: str, classes: int, shape: tuple[int, int, int]) -> bytes:
        return _written(parse(name, text), form, classes, shape)

    @router.get("/drawing", response_class=Response, responses=_file("A drawing", "image/svg+xml"))
    async def show_drawing(space: str, architecture: Text) -> Response:
        """A drawing of any architecture of the space."""
        return Response(await workers.run(draw, space, architecture), media_type="image/svg+xml")

    @router.get("/export", response_class=Response, responses=_file("A file", *(media for media, _ in _MEDIA.values())))
    async def export_network(
        space: str,
        architecture: Text,
        format: Annotated[Literal["onnx", "python"], Query(description="ONNX needs the extra crlso[onnx]")],
        num_classes: Annotated[int, Query(ge=1, le=100_000)] = 10,
        channels: Annotated[int, Query(ge=1, le=16)] = 3,
        size: Annotated[int, Query(ge=8, le=512, description="pixels of an image's side")] = 32,
    ) -> Response:
        """The network of an architecture, untrained: as ONNX, or as a Python script that builds it through crlso."""
        shape = (channels, size, size)
        content = await workers.run(write, space, architecture, format, num_classes, shape)
        media, ending = _MEDIA[format]
        headers = {"Content-Disposition": f'attachment; filename="architecture.{ending}"'}
        return Response(content, media_type=media, headers=headers)

    return router


def _written(arch: Architecture, form: str, classes: int, shape: tuple[int, int, int]) -> bytes:
    """The file's content."""
    if not has_networks(arch.space):
        raise unknown("space with networks", arch.space, filter(has_networks, space_names()))
    if form == "python":
        return _SCRIPT.format(space=arch.space, text=ascii(arch.text), classes=classes, shape=shape).encode()
    with tempfile.TemporaryDirectory() as folder:
        file = export(arch, Path(folder) / "network", form, num_classes=classes, input_shape=shape)
        return file.read_bytes()


def _space(registry: Registry, name: str) -> SearchSpace:
    """A space by name."""
    registry.check()  # models bring the spaces that users have described
    return get_space(known_space(name))


def _file(description: str, *media: str) -> dict[int | str, dict[str, Any]]:
    content = {one: {"schema": {"type": "string"}} for one in media}
    return {200: {"description": description, "content": content}}
