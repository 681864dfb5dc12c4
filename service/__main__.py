"""`python -m service` listens where the environment says and prints a request to start with."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import typer
import uvicorn
from pydantic import ValidationError

from service.app import create_app
from service.registry import Registry
from service.settings import Settings

_PATIENCE = 30  # seconds that requests under way have when the service is told to end


class Server(uvicorn.Server):
    """Says what to do next, but not before it listens; ends streams before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, registry: Registry, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._registry, self._closing = registry, closing

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
        body = json.dumps({"space": next(iter(models.values())).space.name, "model": next(iter(models)), "seed": 0})
        typer.echo("Ask for architectures:")
        typer.echo(f"  curl -s http://{host}:{port}/optimize -H 'Content-Type: application/json' -d '{body}'")


def main() -> None:
    """Serve until interrupted."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            typer.echo(f"CRLSO_{str(fault['loc'][0]).upper()}: {fault['msg']}", err=True)
        sys.exit(2)
    app = create_app(settings)
    config = uvicorn.Config(app, host=settings.host, port=settings.port, timeout_graceful_shutdown=_PATIENCE)
    Server(config, app.state.registry, app.state.closing).run()


if __name__ == "__main__":
    main()
