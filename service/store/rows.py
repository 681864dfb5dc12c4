"""What studies and jobs have in common: who made them, under which key, and the order in which they are listed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, or_, select

from crlso.exceptions import CrlsoError

T = TypeVar("T")
_LARGEST = 2**33  # of numbers and of seconds since 1970


class NotFoundError(CrlsoError):
    """There is no study, trial or job of that name."""


class ConflictError(CrlsoError):
    """What is asked contradicts what is recorded."""


class ReusedKeyError(CrlsoError):
    """An idempotency key came back with another request."""


class TokenError(CrlsoError):
    """A page token that no list gave."""


@dataclass(frozen=True)
class Origin:
    """Who asks for something to be made.

    Attributes:
        owner: id of the key, or a word for who needs none.
        idempotency_key: the same one with the same request makes nothing new.
    """

    owner: str
    idempotency_key: str | None = None

    def columns(self, request: Mapping[str, Any]) -> dict[str, str | None]:
        """What a row remembers of its origin."""
        known = {"owner": self.owner, "idempotency_key": self.idempotency_key}
        return {**known, "fingerprint": None if self.idempotency_key is None else fingerprint(request)}

    def earlier(self, connection: Connection, table: Table, request: Mapping[str, Any]) -> Row[Any] | None:
        """What the key has made already.

        Raises:
            ReusedKeyError: of another request.
        """
        if self.idempotency_key is None:
            return None
        mine = and_(table.c.owner == self.owner, table.c.idempotency_key == self.idempotency_key)
        found = connection.execute(select(table).where(mine)).one_or_none()
        if found is not None and found.fingerprint != fingerprint(request):
            raise ReusedKeyError(
                f"the Idempotency-Key {self.idempotency_key!r} came with another request before: choose a new one"
            )
        return found


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and the token of the next one."""

    items: list[T]
    next_token: str | None


def fingerprint(request: Mapping[str, Any]) -> str:
    """SHA-256 of a request, the order of its keys apart."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def newest_first(
    connection: Connection, table: Table, size: int, token: str | None, *conditions: ColumnElement[bool]
) -> Page[Row[Any]]:
    """A page of a table's rows; what is made meanwhile shifts none of the later pages.

    Raises:
        TokenError: the token is none of this list.
    """
    query: Select[Any] = select(table).where(*conditions)
    if token is not None:
        created, name = read_token(token, float, str)
        query = query.where(
            or_(table.c.created < created, and_(table.c.created == created, table.c.id < name)),
        )
    rows = list(connection.execute(query.order_by(table.c.created.desc(), table.c.id.desc()).limit(size + 1)))
    last = rows[size - 1] if len(rows) > size else None
    return Page(rows[:size], None if last is None else make_token(last.created, last.id))


def make_token(*place: float | str) -> str:
    """A token that says where the next page begins."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_token(token: str, *kinds: type) -> list[Any]:
    """The inverse of `make_token`.

    Raises:
        TokenError: it is none.
    """
    try:
        place = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise TokenError("page_token is none that a list gave: leave it out to begin anew") from error
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds) or not all(map(_sound, place)):
        raise TokenError("page_token is none of this list: leave it out to begin anew")
    return place


def _sound(part: float | str) -> bool:
    """Whether every database can compare with it."""
    return part.isalnum() and part.isascii() if isinstance(part, str) else abs(part) < _LARGEST
