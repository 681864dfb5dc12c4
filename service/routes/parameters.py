"""Parameters that several paths take: names of things, pages of lists, and who asks under which idempotency key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Response

from service.problems import require_json
from service.security import Caller, requires
from service.store.rows import Origin

Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="as the list of all has it")]
PageSize = Annotated[int, Query(ge=1, le=200, description="the most items of a page")]
PageToken = Annotated[
    str | None, Query(max_length=200, pattern="^[A-Za-z0-9_-]+$", description="`next_page_token` of the page before")
]

NEEDS_JSON = [Depends(require_json)]
UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers of a stream, which a proxy must pass on as it comes."""
_PLURALS = {"study": "studies", "job": "jobs"}

Reader = Annotated[Caller, Depends(requires("read"))]
Submitter = Annotated[Caller, Depends(requires("submit"))]
Admin = Annotated[Caller, Depends(requires("admin"))]


async def origin(
    caller: Submitter,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern="^[!-~]+$",
            description="the same key with the same request makes nothing new",
        ),
    ] = None,
) -> Origin:
    """Who asks for something to be made."""
    return Origin(caller.id, idempotency_key)


Asker = Annotated[Origin, Depends(origin)]


def created(response: Response, location: str, *, new: bool) -> None:
    """Say where the thing is that was made, and whether it was made by an earlier request."""
    response.headers["Location"] = location
    if not new:
        response.headers["Idempotent-Replayed"] = "true"


def links(name: str, *operations: str) -> dict[str, Any]:
    """Where the OpenAPI document says that the id of what was made leads on.

    Args:
        name: of the parameter that takes the id.
        operations: by the end of their ids, as in `get_history`.
    """
    found = {}
    for operation in operations:
        method, _, last = operation.partition("_")
        target = "_".join(part for part in (method, "v1", f"{_PLURALS[name]}_{name}", last) if part)
        found[operation] = {"operationId": target, "parameters": {name: "$response.body#/id"}}
    return found
