"""What every request passes through: a request id, and a limit to the size of its body."""

from __future__ import annotations

from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import request_id

REQUEST_ID = "X-Request-ID"


class RequestId:
    """Names each request in `request.state.request_id` and in the response's header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        name = uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        request_id.set(name)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = name
            await send(message)

        return await self._app(scope, receive, named)


class BodyLimit:
    """Stops reading a body, whatever length it claims to have, once it is larger than allowed.

    Args:
        app: reads the body; it sees HTTP error 413 raised by its `receive`.
        max_bytes: the largest body let through.
        uploads: the largest one of a PUT, which brings files.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, uploads: int) -> None:
        self._app, self._max_bytes, self._uploads = app, max_bytes, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, most = 0, self._uploads if scope.get("method") == "PUT" else self._max_bytes

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, f"the body is larger than the {most} bytes that are read")
            return message

        await self._app(scope, counted, send)
