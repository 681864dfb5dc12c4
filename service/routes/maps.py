"""The map of a model: where its architectures lie on a disc, and each of them in full.

What a place means is said in `crlso.latent.atlas`: the radius is the share of architectures that are better, so that
the best stand in the middle and an ascent runs inwards; the angle is that of the two directions in which latents vary
most.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from service import problems
from service.map_schemas import DrawnArchitecture, KnownList, ModelMap, Order
from service.maps import Map, Maps
from service.registry import Registry
from service.routes.parameters import PageSize
from service.store.rows import TokenError
from service.workers import Workers

_ERRORS = problems.declare(
    problems.UNKNOWN_NAME, problems.INVALID, problems.TOKEN, problems.NO_MODEL, problems.BUSY, *problems.GUARDED
)

Index = Annotated[int, Path(ge=0, lt=2**31, description="an entry of the map's columns")]


def make_router(registry: Registry, maps: Maps, workers: Workers) -> APIRouter:
    """Read-only paths below a model."""
    router = APIRouter(prefix="/v1/models/{name}", tags=["map"], responses=_ERRORS)

    def whole(name: str, zipped: bool) -> tuple[str, bytes]:
        found = maps.of(registry.get(name))
        return found.model.digest, found.compressed if zipped else found.content

    def page(name: str, order: Order, size: int, token: str | None) -> KnownList:
        return _page(maps.of(registry.get(name)), order, size, token)

    @router.get("/map", response_model=ModelMap)
    async def show_map(name: str, request: Request) -> Response:
        """Every architecture that the model knows, as columns for a picture; `ETag` follows the digest."""
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        digest, content = await workers.run(whole, name, zipped)
        headers = {"ETag": f'W/"{digest}"', "Vary": "Accept-Encoding", "Cache-Control": "private, no-cache"}
        if digest in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        encoding = {"Content-Encoding": "gzip"} if zipped else {}
        return Response(content, media_type="application/json", headers=headers | encoding)

    @router.get("/architectures")
    async def list_architectures(
        name: str,
        order: Annotated[Order, Query(description="best first, costs from the least")] = "predicted",
        page_size: PageSize = 50,
        page_token: Annotated[str | None, Query(description="`next_page_token` of the page before")] = None,
    ) -> KnownList:
        """What the model knows, without drawings; what has no value in that order comes last."""
        return await workers.run(page, name, order, page_size, page_token)

    @router.get("/architectures/{index}")
    async def show_architecture(name: str, index: Index) -> DrawnArchitecture:
        """One architecture with its drawing, prediction, measured value and exact costs."""
        return await workers.run(lambda: maps.of(registry.get(name)).draw(index))

    return router


def _page(found: Map, order: Order, size: int, token: str | None) -> KnownList:
    entries, start = found.order(order), _offset(token)
    items = [found.show(int(index)) for index in entries[start : start + size]]
    more = str(start + size) if start + size < len(entries) else None
    return KnownList(items=items, next_page_token=more, total=len(entries))


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not re.fullmatch("[0-9]{1,9}", token):
        raise TokenError("page_token is none that a list gave: leave it out to begin anew")
    return int(token)
