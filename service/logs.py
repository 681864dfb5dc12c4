"""What the service writes down: one line a request, each line with the id of the request that it belongs to."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

from starlette.types import Scope

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request under way."""
_log = logging.getLogger("service.requests")


class JsonFormatter(logging.Formatter):
    """A JSON object a line, for those who collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None})


def configure(*, as_json: bool) -> None:
    """Write to stderr, as JSON or as text."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """Write down a request and its answer."""
    caller = scope.get("state", {}).get("caller")
    fields = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(1000 * seconds, 1),
        "caller": None if caller is None else caller.id,
    }
    # The path as it was sent may hold line breaks; as JSON it cannot forge a line.
    text = f"{scope['method']} {json.dumps(scope['path'])} {status} {fields['ms']} ms"
    _log.info(text, extra={"fields": fields})
