"""What every request passes through: a request id, and limits to the size of its body and to how long it may take."""

from __future__ import annotations

import asyncio
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
    """Stops reading a body, whatever length it claims to have, once it is larger or slower than allowed.

    Args:
        app: reads the body; it sees HTTP errors 413 and 408 raised by its `receive`.
        max_bytes: the largest body let through.
        uploads: the largest one of a PUT, which brings files.
        seconds: within which the whole body must be there, for uploads in proportion.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, uploads: int, seconds: float) -> None:
        self._app, self._max_bytes, self._uploads, self._seconds = app, max_bytes, uploads, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, whole = 0, False
        most = self._uploads if scope.get("method") == "PUT" else self._max_bytes
        seconds = self._seconds * max(1.0, most / self._max_bytes)
        deadline = asyncio.get_running_loop().time() + seconds

        async def counted() -> Message:
            nonlocal read, whole
            if whole:  # what comes now is that the client goes, and it may take its time
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body was not there within {seconds:g} s"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, f"the body is larger than the {most} bytes that are read")
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, counted, send)
