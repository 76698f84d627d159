"""The tables that carry messages and erasures; every service has its own copy in its own schema."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.declarations import About, DataClass, Purpose, not_exported, of_class, on_erase
from chassis.journal_tables import journal_head, journal_pages

__all__ = [
    "NAMING_CONVENTION",
    "ChassisTables",
    "Moment",
    "lease_check",
    "lease_columns",
    "not_exported",
    "of_class",
    "on_erase",
    "service_metadata",
    "tables_of",
]

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Moment = DateTime(timezone=True)
_IDS_OF_EVENTS = About(
    data_class=DataClass.NOBODY, purpose=Purpose.DELIVERY, retention="30 days after the event came"
)


@dataclass(frozen=True)
class ChassisTables:
    """The chassis' tables of one schema."""

    outbox: Table
    inbox: Table
    failed_attempts: Table
    dead_letters: Table
    tombstones: Table
    erasure_tasks: Table
    idempotency_keys: Table
    known_keys: Table
    journal_head: Table
    journal_pages: Table


def service_metadata(schema: str) -> MetaData:
    """Return the metadata of a service's schema, with the chassis' tables already in it."""
    metadata = MetaData(schema=schema, naming_convention=NAMING_CONVENTION)
    _define(metadata)
    return metadata


@lru_cache
def tables_of(schema: str) -> ChassisTables:
    """Return the chassis' tables of `schema`, for the chassis' own queries."""
    return _define(MetaData(schema=schema, naming_convention=NAMING_CONVENTION))


def _define(metadata: MetaData) -> ChassisTables:
    return ChassisTables(
        outbox=_outbox(metadata),
        inbox=_inbox(metadata),
        failed_attempts=_failed_attempts(metadata),
        dead_letters=_dead_letters(metadata),
        tombstones=_tombstones(metadata),
        erasure_tasks=_erasure_tasks(metadata),
        idempotency_keys=_idempotency_keys(metadata),
        known_keys=_known_keys(metadata),
        journal_head=journal_head(metadata),
        journal_pages=journal_pages(metadata),
    )


def lease_columns() -> list[Column[Any]]:
    """Return the columns that make a table a work table, beside its `last_error`."""
    return [
        Column("attempts", Integer, nullable=False, server_default=text("0"), info=not_exported()),
        Column(
            "next_attempt_at",
            Moment,
            nullable=False,
            server_default=func.clock_timestamp(),
            info=not_exported(),
        ),
        Column("lease_token", Uuid, info=not_exported()),
        Column("lease_until", Moment, info=not_exported()),
    ]


def lease_check() -> CheckConstraint:
    """Return the constraint of a work table: a lease has a holder and an end, or neither."""
    return CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease_is_whole")


def _outbox(metadata: MetaData) -> Table:
    return Table(
        "outbox",
        metadata,
        Column("position", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("type", String(100), nullable=False),
        Column("subject", String(200), nullable=False),
        Column("body", LargeBinary, nullable=False),
        # Null in a row whose author did not say: an older release wrote it.
        Column("mandatory", Boolean),
        Column("created_at", Moment, nullable=False, server_default=func.clock_timestamp()),
        *lease_columns(),
        Column("last_error", String(200)),
        lease_check(),
        Index(None, "subject", "position"),
        info=on_erase(
            "empties itself: a row leaves when the broker has confirmed it",
            pruned_by="empties itself",
            about=About(
                data_class=DataClass.PSEUDONYM,
                purpose=Purpose.DELIVERY,
                retention="until the broker has confirmed it",
            ),
        ),
    )


def _inbox(metadata: MetaData) -> Table:
    return Table(
        "inbox",
        metadata,
        Column("consumer", String(100), primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        Column("received_at", Moment, nullable=False, server_default=func.clock_timestamp(), index=True),
        info=on_erase(
            "retain: ids of events, not of people; purged after 30 days",
            pruned_by="purge-inbox",
            about=_IDS_OF_EVENTS,
        ),
    )


def _failed_attempts(metadata: MetaData) -> Table:
    return Table(
        "failed_attempts",
        metadata,
        Column("consumer", String(100), primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        Column("attempts", Integer, nullable=False),
        Column("last_failed_at", Moment, nullable=False, server_default=func.clock_timestamp()),
        info=on_erase(
            "retain: ids of events, not of people; purged after 30 days",
            pruned_by="purge-inbox",
            about=_IDS_OF_EVENTS,
        ),
    )


def _dead_letters(metadata: MetaData) -> Table:
    return Table(
        "dead_letters",
        metadata,
        Column("position", BigInteger, Identity(always=True), primary_key=True),
        Column("consumer", String(100), nullable=False),
        Column("event_id", Uuid),
        Column("type", String(100)),
        Column("body_digest", String(64), nullable=False),
        Column("error_class", String(200), nullable=False),
        Column("parked_at", Moment, nullable=False, server_default=func.clock_timestamp()),
        info=on_erase(
            "retain: ids of events and a digest, no payload",
            pruned_by="purge-dead-letters",
            about=About(
                data_class=DataClass.NOBODY,
                purpose=Purpose.OPERATION,
                retention="90 days after it was parked",
            ),
        ),
    )


def _tombstones(metadata: MetaData) -> Table:
    return Table(
        "tombstones",
        metadata,
        Column("subject_hash", String(64), primary_key=True),
        Column("erased_at", Moment, nullable=False, server_default=func.clock_timestamp()),
        Column("erasure_id", Uuid),
        # On which page of the erasure journal it stands; null until it is on one.
        Column("journal_page", BigInteger),
        Index(
            "ix_tombstones_not_in_journal",
            "subject_hash",
            postgresql_where=text("journal_page IS NULL"),
        ),
        Index("ix_tombstones_journal_page", "journal_page"),
        info=on_erase(
            "retain: a keyed hash that keeps the person from coming back",
            pruned_by="kept: whoever was erased must not come back from a late event or an old copy",
            about=About(
                data_class=DataClass.PSEUDONYM, purpose=Purpose.ERASURE, retention="for ever, as a keyed hash"
            ),
        ),
    )


def _erasure_tasks(metadata: MetaData) -> Table:
    return Table(
        "erasure_tasks",
        metadata,
        Column("erasure_id", Uuid, primary_key=True),
        Column("user_id", Uuid, info=on_erase("null: emptied when the erasure is reported")),
        Column("requested_at", Moment, nullable=False),
        Column("deadline", Moment, nullable=False),
        Column("erased", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        # Under which laws the person was: codes, which name nobody.
        Column("regimes", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
        # What the coordinator says that must not be erased yet, and when all else was gone.
        Column("holds", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
        Column("holds_version", Integer, nullable=False, server_default=text("0")),
        Column("held_at", Moment),
        Column("completed_at", Moment),
        *lease_columns(),
        Column("last_error", Text),
        lease_check(),
        CheckConstraint("(completed_at IS NULL) = (user_id IS NOT NULL)", name="person_until_completed"),
        Index(
            "ix_erasure_tasks_open",
            "next_attempt_at",
            postgresql_where=text("completed_at IS NULL"),
        ),
        info=on_erase(
            "null: the person's id is emptied when the erasure is reported",
            pruned_by="kept: counts and times of what was erased, the proof behind the certificate",
            about=About(
                data_class=DataClass.PSEUDONYM,
                purpose=Purpose.ERASURE,
                retention="the person's id until all is reported, the rest for ever",
            ),
        ),
    )


def _idempotency_keys(metadata: MetaData) -> Table:
    return Table(
        "idempotency_keys",
        metadata,
        Column("key_hash", String(64), primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
        Column("created_at", Moment, nullable=False, server_default=func.clock_timestamp(), index=True),
        info=on_erase(
            "retain: names nobody, opens only with the client's own key, purged after 24 hours",
            pruned_by="purge-idempotency-records",
            about=About(data_class=DataClass.PSEUDONYM, purpose=Purpose.DELIVERY, retention="24 hours"),
        ),
    )


def _known_keys(metadata: MetaData) -> Table:
    return Table(
        "known_keys",
        metadata,
        Column("name", String(100), primary_key=True),
        Column("key_id", String(8), nullable=False),
        Column("first_used_at", Moment, nullable=False, server_default=func.clock_timestamp()),
        info=on_erase(
            "retain: ids of the platform's keys, not of people",
            pruned_by="kept: a row for each key",
            about=About(data_class=DataClass.NOBODY, purpose=Purpose.SECURITY, retention="for ever"),
        ),
    )
