"""The page at `/`: static files of `service/ui`, which talk to the public interface and to nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent.parent / "ui"

HEADERS = {
    # Own files only, and no script or style inside the document: nothing that an answer holds can ever run.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # asks by ETag, so that a new version shows at once
}


class Files(StaticFiles):
    """A folder's files, sent with the page's headers."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response


def routes() -> list[BaseRoute]:
    """The document and its parts; they are no part of the interface, so the OpenAPI document leaves them out."""
    files = Files(directory=FOLDER)

    async def document(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    return [Route("/", document), Mount("/ui", files)]
