"""API keys: a name, a scope, and the digest of a secret that is shown once and kept nowhere.

A key reads `crlso_ID_SECRET`. The secret is of 256 random bits, so that a plain SHA-256 of it cannot be searched.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update

from service.store.database import Database
from service.store.rows import NotFoundError
from service.store.schema import audit, keys

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")
"""Each may do what the one before it may."""
_PREFIX = "crlso"


@dataclass(frozen=True)
class Key:
    """Somebody who may use the service."""

    id: str
    name: str
    scope: Scope
    created: float
    expires: float | None
    revoked: float | None


class KeyStore:
    """Keys in a database, and what was done with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scope: Scope, expires: float | None = None) -> tuple[Key, str]:
        """Make a key; its text is returned here and nowhere else."""
        name_of_key, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        row = {"id": name_of_key, "name": name, "scope": scope, "created": time.time(), "expires": expires}
        with self._database.writing() as connection:
            connection.execute(insert(keys).values(digest=_digest(secret), **row))
        return self._get(name_of_key), f"{_PREFIX}_{name_of_key}_{secret}"

    def check(self, text: str) -> Key | None:
        """The key of a text; None where it is none, is over or was revoked."""
        prefix, _, rest = text.partition("_")
        name, _, secret = rest.partition("_")
        if prefix != _PREFIX or not text.isascii():
            return None
        with self._database.reading() as connection:
            row = connection.execute(select(keys).where(keys.c.id == name)).one_or_none()
        if not hmac.compare_digest(_digest(secret), "" if row is None else row.digest):
            return None
        key = _key(row)
        over = key.revoked is not None or (key.expires is not None and key.expires <= time.time())
        return None if over else key

    def list(self) -> list[Key]:
        """All keys, in the order of their making."""
        with self._database.reading() as connection:
            return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created))]

    def revoke(self, key: str) -> Key:
        """Let a key open nothing any more.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._database.writing() as connection:
            mine = keys.c.id == key
            connection.execute(update(keys).where(mine, keys.c.revoked.is_(None)).values(revoked=time.time()))
        return self._get(key)

    def write_down(self, owner: str, action: str, target: str) -> None:
        """Add a line to the audit log."""
        with self._database.writing() as connection:
            row = {"owner": owner, "action": action, "target": target}
            connection.execute(insert(audit).values(time=time.time(), **row))

    def _get(self, key: str) -> Key:
        with self._database.reading() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no key {key!r}: `crlso service keys list` shows them")
        return _key(row)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Row[Any] | Any) -> Key:
    return Key(row.id, row.name, row.scope, row.created, row.expires, row.revoked)
