"""Every answer that is not a success: `application/problem+json` as RFC 9457 has it.

Each kind of error has a page at the path that its `type` names. Nothing of the service's inside is told; the
request id leads from an answer to the log.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import compile_path

from crlso.exceptions import ArchitectureError, BundleError, CrlsoError, UnknownNameError
from service.middleware import REQUEST_ID
from service.registry import NotBundleError
from service.schemas import ProblemDetail
from service.store.database import StoreError
from service.store.rows import ConflictError, NotFoundError, ReusedKeyError, TokenError
from service.workers import BusyError, LateError

MEDIA_TYPE = "application/problem+json"
_LONGEST_DETAIL = 1000  # a text of the request that is quoted back must not make the answer as large as the request
_MOST_FAULTS = 50
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of error, explained at `type`."""

    slug: str
    status: int
    title: str
    description: str

    @property
    def type(self) -> str:
        """The path at which the kind is explained."""
        return f"/problems/{self.slug}"


MALFORMED = Kind("malformed-json", 400, "The body is not JSON", "The body must be one JSON object in UTF-8.")
NO_PATH = Kind("no-such-path", 404, "No such path", "GET /openapi.json lists all paths.")
UNKNOWN_NAME = Kind("unknown-name", 404, "Unknown name", "`detail` lists the names that exist.")
METHOD = Kind("method-not-allowed", 405, "Method not allowed", "The header `Allow` lists the methods of the path.")
TOO_SLOW = Kind("body-too-slow", 408, "The body came too slowly", "The limit is set by CRLSO_BODY_SECONDS.")
TOO_LARGE = Kind("body-too-large", 413, "The body is too large", "The limit is set by CRLSO_MAX_BODY_BYTES.")
NOT_JSON = Kind("unsupported-media-type", 415, "Unsupported media type", "`detail` names the type that is read.")
INVALID = Kind("invalid-request", 422, "The request is invalid", "`errors` points at each fault of the body.")
ARCHITECTURE = Kind("invalid-architecture", 422, "Not an architecture", "GET /v1/spaces shows each space's notation.")
UNSOLVABLE = Kind("unsolvable-problem", 422, "The problem cannot be solved as asked", "`detail` says what to change.")
INTERNAL = Kind("internal-error", 500, "A fault of the service", "The log tells more under the request id.")
UNAUTHENTICATED = Kind("unauthenticated", 401, "No valid key", "Send `Authorization: Bearer KEY`.")
FORBIDDEN = Kind("forbidden", 403, "The key does not allow it", "`detail` names the scope that is needed.")
NOT_FOUND = Kind("not-found", 404, "There is no such thing", "`detail` says where the existing ones are listed.")
CONFLICT = Kind("conflict", 409, "It contradicts what is recorded", "`detail` says what is recorded.")
REUSED_KEY = Kind("reused-idempotency-key", 422, "The Idempotency-Key was used before", "Choose a new key.")
NOT_BUNDLE = Kind("not-a-bundle", 422, "Not a model", "Send the files of a model's folder in a ZIP archive.")
TOKEN = Kind("invalid-page-token", 422, "No such page", "`next_page_token` of the page before is the next one's.")
TOO_OFTEN = Kind("too-many-requests", 429, "Too many requests", "Come back after the seconds of `Retry-After`.")
STUDY_BUSY = Kind("study-busy", 503, "The strategy is thinking", "Ask again with the same `client_id`.")
STORE = Kind("store-unavailable", 503, "The record cannot be reached", "Ask again after the seconds of `Retry-After`.")
NO_MODEL = Kind("model-unavailable", 503, "No model can answer", "GET /health/ready tells the state of all models.")
BUSY = Kind("busy", 503, "Too many requests at once", "Come back after the seconds that `Retry-After` names.")

_OF_FRAMEWORK = (MALFORMED, NO_PATH, METHOD, TOO_SLOW, TOO_LARGE, NOT_JSON)
_BY_STATUS = {kind.status: kind for kind in _OF_FRAMEWORK}
_BY_ERROR = {
    UnknownNameError: UNKNOWN_NAME,
    ArchitectureError: ARCHITECTURE,
    BundleError: NO_MODEL,
    NotFoundError: NOT_FOUND,
    ConflictError: CONFLICT,
    ReusedKeyError: REUSED_KEY,
    TokenError: TOKEN,
    NotBundleError: NOT_BUNDLE,
}
GUARDED = (UNAUTHENTICATED, FORBIDDEN, TOO_OFTEN, STORE)
_OTHERS = (INVALID, UNSOLVABLE, INTERNAL, BUSY, STUDY_BUSY)
BODY = (MALFORMED, TOO_SLOW, TOO_LARGE, NOT_JSON, INVALID)
"""What may be wrong with the body of any request that has one."""
KINDS = {kind.slug: kind for kind in (*_OF_FRAMEWORK, *_BY_ERROR.values(), *GUARDED, *_OTHERS)}


class ForbiddenError(Exception):
    """The caller's key does not allow what is asked."""


def problem(
    request: Request, kind: Kind, detail: str, headers: dict[str, str] | None = None, **extensions: Any
) -> Response:
    """The response that reports an error."""
    content = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}…",
        "request_id": request.state.request_id,
        **extensions,
    }
    # ASCII escapes carry what a request may quote but UTF-8 cannot, such as lone surrogates.
    return Response(
        json.dumps(content), kind.status, {REQUEST_ID: request.state.request_id} | (headers or {}), MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""
    app.exception_handler(StarletteHTTPException)(_http)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(CrlsoError)(refused)
    app.exception_handler(BusyError)(_busy)
    app.exception_handler(LateError)(_thinking)
    app.exception_handler(ForbiddenError)(_forbidden)
    app.exception_handler(StoreError)(_unavailable)
    app.exception_handler(Exception)(_failed)


async def require_json(request: Request) -> None:
    """Refuse a body that does not say it is JSON.

    Raises:
        HTTPException: 415.
    """
    sent = request.headers.get("content-type", "")
    if sent.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, f"Content-Type is {sent!r}; it must be 'application/json'")


def declare(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Describe a route's errors to the OpenAPI document, with an example of each kind."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        response = responses.setdefault(
            kind.status, {"model": ProblemDetail, "description": kind.title, "content": {MEDIA_TYPE: {"examples": {}}}}
        )
        response["content"][MEDIA_TYPE]["examples"][kind.slug] = {"value": _example(kind)}
    return responses | {"default": {"model": ProblemDetail, "description": "Any other error"}}


def _example(kind: Kind) -> dict[str, Any]:
    example = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.description,
        "request_id": "5b6d0c9a1f7e4b0f8a3c2d1e0f9a8b7c",
    }
    if kind is INVALID:
        example["errors"] = [{"pointer": "/num_starts", "detail": "Input should be greater than or equal to 1"}]
    return example


def _place(location: tuple[int | str, ...]) -> dict[str, str]:
    """Where a fault is: a JSON pointer (RFC 6901) into the body, or the name of a parameter."""
    kind, *path = location
    if kind != "body":
        return {"parameter": str(path[0])}
    return {"pointer": "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)}


def _methods(request: Request) -> set[str]:
    """Methods that the document has for the request's path."""
    paths = request.app.openapi()["paths"].items()
    of_path = [methods for path, methods in paths if compile_path(path)[0].match(request.scope["path"])]
    return {method.upper() for methods in of_path for method in methods}


async def _http(request: Request, error: StarletteHTTPException) -> Response:
    kind = _BY_STATUS[error.status_code]
    headers = dict(error.headers or {})
    if kind is METHOD:  # the framework names those of one route, or none
        headers["Allow"] = ", ".join(sorted(_methods(request) or {"GET", "HEAD"}))
    if kind in (NO_PATH, METHOD):
        return problem(request, kind, f"{request.method} {request.scope['path']}: {kind.description}", headers)
    return problem(request, kind, error.detail, headers)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if found[0]["type"] == "json_invalid":
        return problem(request, MALFORMED, f"not JSON at character {found[0]['loc'][1]}: {found[0]['ctx']['error']}")
    faults = [
        {**_place(fault["loc"]), "detail": fault["msg"].removeprefix("Value error, ")} for fault in found[:_MOST_FAULTS]
    ]
    place, first = next(iter(faults[0].values())) or "body", faults[0]["detail"]
    detail = f"{len(found)} fault{'s' * (len(found) > 1)} in the request; {place}: {first}"
    return problem(request, INVALID, detail, errors=faults)


async def refused(request: Request, error: CrlsoError) -> Response:
    """The response to an error that the caller can mend."""
    return problem(request, _BY_ERROR.get(type(error), UNSOLVABLE), str(error))


async def _busy(request: Request, _: BusyError) -> Response:
    detail = "all workers are taken and the queue is full: try again in a second"
    return problem(request, BUSY, detail, {"Retry-After": "1"})


async def _thinking(request: Request, _: LateError) -> Response:
    detail = "the strategy has not decided yet: ask again with the same client_id"
    return problem(request, STUDY_BUSY, detail, {"Retry-After": "1"})


async def _forbidden(request: Request, error: ForbiddenError) -> Response:
    return problem(request, FORBIDDEN, str(error))


async def _unavailable(request: Request, error: StoreError) -> Response:
    return unavailable(request, error)


def unavailable(request: Request, error: StoreError) -> Response:
    """Say that the record cannot be reached; what the database said of it is for the log."""
    _log.error("request %s: the record cannot be reached: %s", request.state.request_id, error)
    return problem(request, STORE, "the record cannot be reached at the moment: try again", {"Retry-After": "2"})


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("request %s failed: %r", request.state.request_id, error)
    return problem(request, INTERNAL, "the service has a fault; quote the request id when you report it")
