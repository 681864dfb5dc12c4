"""Tables of the record, the same in SQLite and PostgreSQL.

Times are seconds since 1970 by the clock of who writes, for people to read; no decision hangs on them. Whatever must
be in order has a number: trials and events count from 1, tells and beats have counters of their own.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_LIVING = text("state IN ('queued', 'running')")

studies = Table(
    "studies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("told", Integer, nullable=False, default=0),  # tells so far, which orders them
    Column("created", Float, nullable=False),
    Column("idempotency_key", String(200)),
    Column("fingerprint", String(64)),
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "created", "id"),
)

trials = Table(
    "trials",
    metadata,
    Column("study", ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("architecture", Text, nullable=False),
    Column("key", String(64), nullable=False),  # SHA-256 of its class: nobody trains a twin of another's
    Column("state", String(16), nullable=False),
    Column("client", String(200)),
    Column("measured", JSON(none_as_null=True)),
    Column("told", Integer),
    Column("created", Float, nullable=False),
    Column("finished", Float),
    UniqueConstraint("study", "key"),
    Index(None, "study", "state", "number"),
    Index(None, "study", "client", "state"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("request", JSON, nullable=False),
    Column("target", String(300)),  # what it makes, such as a model; no two living jobs make the same
    Column("state", String(16), nullable=False),
    Column("cancelled", Boolean, nullable=False, default=False),  # asked for, not yet obeyed
    Column("attempt", Integer, nullable=False, default=0),  # fences off whoever works at an earlier one
    Column("losses", Integer, nullable=False, default=0),  # attempts that ended without a word
    Column("beat", Integer, nullable=False, default=0),
    Column("events", Integer, nullable=False, default=0),
    Column("progress", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("idempotency_key", String(200)),
    Column("fingerprint", String(64)),
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "state", "created"),
    Index(None, "created", "id"),
    Index("ix_jobs_living_target", "target", unique=True, sqlite_where=_LIVING, postgresql_where=_LIVING),
)

events = Table(
    "events",
    metadata,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Column("time", Float, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of a secret of 256 random bits, which needs no salt
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(300), nullable=False),
)
