"""Who may come in: API keys, how often each may ask, and what browsers are told about the answers.

Without keys, which is the default at a loopback address alone, requests must also name a loopback host: a page of some
other site that makes a browser ask under a name of its own is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import problems
from service.addresses import is_loopback
from service.store.database import StoreError
from service.store.keys import SCOPES, KeyStore
from service.store.keys import Scope as KeyScope

_OPEN = ("/health/", "/problems/", "/openapi.json", "/ui/")  # and the page itself
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # unless the answer says otherwise
}
_REMEMBERED = 10_000  # callers whose rate is known; the one not seen for longest is forgotten first


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a key's id, or an address where none is needed."""

    id: str
    scope: KeyScope


class Guard:
    """Lets requests in, or answers them with a problem.

    Args:
        app: what is guarded; it finds the caller in `request.state.caller`.
        keys: None where everybody may do everything.
        rate: requests a second, on average.
        burst: requests at once.
    """

    def __init__(self, app: ASGIApp, keys: KeyStore | None, rate: float, burst: int, local: bool) -> None:
        self._app, self._keys, self._local = app, keys, local
        self._allowance = Allowance(rate, burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/" or path.startswith(_OPEN):
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            caller = await self._caller(request)
        except StoreError as error:
            return await problems.unavailable(request, error)(scope, receive, send)
        if isinstance(caller, str):
            headers = {"WWW-Authenticate": "Bearer"}
            return await problems.problem(request, problems.UNAUTHENTICATED, caller, headers)(scope, receive, send)
        if (delay := self._allowance.delay(caller.id)) > 0:
            detail = f"more than {self._allowance.rate:g} requests a second: come back in {delay:.2g} s"
            headers = {"Retry-After": str(int(delay) + 1)}
            return await problems.problem(request, problems.TOO_OFTEN, detail, headers)(scope, receive, send)
        scope.setdefault("state", {})["caller"] = caller
        return await self._app(scope, receive, send)

    async def _caller(self, request: Request) -> Caller | str:
        """Who asks, or why that is not known."""
        if self._keys is None:
            host = request.headers.get("host", "")
            host = host if host.endswith("]") else host.rpartition(":")[0] or host
            if self._local and not is_loopback(host):
                return f"{host!r} is not an address of this machine, and without keys only those are answered"
            return Caller(request.client.host if request.client else "local", "admin")
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not text:
            return "send a key as `Authorization: Bearer KEY`; `crlso service keys create` makes one"
        key = await asyncio.to_thread(self._keys.check, text.strip())
        if key is None:
            return "this key is not known, is over or was revoked"
        return Caller(key.id, key.scope)


class Allowance:
    """How often each caller may still ask: a bucket that fills at a rate and holds a burst.

    Args:
        rate: a second.
        burst: size of the bucket.
        clock: seconds that never go backwards.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def delay(self, caller: str) -> float:
        """Take one from the caller's bucket; the seconds until there is one where it is empty, otherwise 0."""
        now = self._clock()
        left, then = self._buckets.pop(caller, (float(self._burst), now))
        left = min(left + (now - then) * self.rate, self._burst)
        admitted = left >= 1
        self._buckets[caller] = (left - 1 if admitted else left, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if admitted else (1 - left) / self.rate


class SecurityHeaders:
    """Tells browsers to trust an answer with as little as possible."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


def requires(scope: KeyScope) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that gives the caller, if the key's scope covers the one that is needed.

    Raises:
        problems.Forbidden: it does not.
    """

    async def check(request: Request) -> Caller:  # which waits for nothing and so needs no thread
        caller: Caller = request.state.caller
        if SCOPES.index(caller.scope) < SCOPES.index(scope):
            raise problems.ForbiddenError(f"this needs a key of scope {scope}; yours is of scope {caller.scope}")
        return caller

    return check
