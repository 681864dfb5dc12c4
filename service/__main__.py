"""`python -m service` listens where the environment says and prints a request to start with."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from typing import Any

import typer
import uvicorn
from fastapi import FastAPI

from service import logs
from service.app import create_app
from service.commands import read_settings
from service.registry import Registry
from service.solvers import Solvers
from service.store.database import SettingError

UVICORN: dict[str, Any] = {
    "timeout_keep_alive": 75,  # seconds: unused connections outlive those of the proxies that would use them again
    "timeout_graceful_shutdown": 30,  # seconds that requests under way have when the service is told to end
    "h11_max_incomplete_event_size": 2**18,  # bytes of a head, in which an architecture of any letters is to fit
    "log_config": None,
    "access_log": False,  # the application writes its own, with request ids
}


class Server(uvicorn.Server):
    """Says what to do next, but not before it listens; ends streams before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, keyed: bool = False) -> None:
        super().__init__(config)
        self._registry: Registry = app.state.registry
        self._closing: asyncio.Event = app.state.closing
        self._keyed = keyed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        models, faults = self._registry.check()  # loads them, so that the first request finds them warm
        await super().startup(sockets)
        if not self.started:
            return
        if not models:
            typer.echo(self._registry.explain_absence(faults))
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        at = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        body = json.dumps({"space": next(iter(models.values())).space.name, "model": next(iter(models)), "seed": 0})
        key = " -H 'Authorization: Bearer KEY'" if self._keyed else ""
        how = ", with a key (crlso service keys create)" if key else ""
        typer.echo(f"Look at {at}/ or ask for architectures{how}:")
        typer.echo(f"  curl -s {at}/optimize{key} -H 'Content-Type: application/json' -d '{body}'")


def main() -> None:
    """Serve until interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has shut down
    settings = read_settings()
    logs.configure(as_json=settings.log_json)
    try:
        app = create_app(settings, solvers=Solvers(settings))
    except SettingError as error:
        typer.echo(f"CRLSO_DATABASE_URL: {error}", err=True)
        sys.exit(2)
    config = uvicorn.Config(app, host=settings.host, port=settings.port, **UVICORN)
    Server(config, app, keyed=settings.keyed).run()


if __name__ == "__main__":
    main()
