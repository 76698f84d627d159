"""Changes of the chassis' own tables, for the migrations of every service: one function each way.

Invariant: a step never changes once a migration calls it; a new shape of the tables is a new step.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def create_messaging(schema: str) -> None:
    """Create the tables that carry messages and erasures."""
    _create_outbox(schema)
    _create_inbox(schema)
    _create_dead_letters(schema)
    _create_erasures(schema)


def drop_messaging(schema: str) -> None:
    """Take that back; destroys erasures, the memory of who was erased, and events that wait."""
    for table in ("erasure_tasks", "tombstones", "dead_letters", "failed_attempts", "inbox", "outbox"):
        op.drop_table(table, schema=schema)


def create_idempotency_keys(schema: str) -> None:
    """Create the table of the answers that are kept for a day, so that a repeated request acts once."""
    op.create_table(
        "idempotency_keys",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_idempotency_keys")),
        schema=schema,
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], schema=schema)


def drop_idempotency_keys(schema: str) -> None:
    """Take that back; destroys the answers that are kept: a repeated request acts again."""
    op.drop_table("idempotency_keys", schema=schema)


def add_mandatory_to_outbox(schema: str) -> None:
    """Let a row of the outbox say whether its event must reach a queue; null in rows from before."""
    op.add_column("outbox", sa.Column("mandatory", sa.Boolean()), schema=schema)


def drop_mandatory_from_outbox(schema: str) -> None:
    """Take that back; relays of before decide by the type, as they always did."""
    op.drop_column("outbox", "mandatory", schema=schema)


def add_known_keys(schema: str) -> None:
    """Make room for the ids of the keys that the schema is written with."""
    op.create_table(
        "known_keys",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        _moment("first_used_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_known_keys")),
        schema=schema,
    )


def drop_known_keys(schema: str) -> None:
    """Take that back; a wrong key is not refused any more."""
    op.drop_table("known_keys", schema=schema)


def add_erasure_journal(schema: str) -> None:
    """Let the tombstones of a schema get into the erasure journal, those that there are already too.

    Nothing is known yet about what the journal has, so the schema is closed until its worker has asked.
    """
    op.add_column("tombstones", sa.Column("erasure_id", sa.Uuid()), schema=schema)
    op.add_column("tombstones", sa.Column("journal_page", sa.BigInteger()), schema=schema)
    op.create_index(
        "ix_tombstones_not_in_journal",
        "tombstones",
        ["subject_hash"],
        schema=schema,
        postgresql_where=sa.text("journal_page IS NULL"),
    )
    op.create_index("ix_tombstones_journal_page", "tombstones", ["journal_page"], schema=schema)
    op.create_table(
        "journal_head",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("digest", sa.String(length=64), server_default=sa.text("''"), nullable=False),
        sa.Column("incarnation", sa.String(length=100), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_journal_head_one_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_journal_head")),
        schema=schema,
    )
    op.create_table(
        "journal_pages",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_journal_pages")),
        schema=schema,
    )


def drop_erasure_journal(schema: str) -> None:
    """Take that back; what the object store has of the journal stays there."""
    op.drop_table("journal_pages", schema=schema)
    op.drop_table("journal_head", schema=schema)
    op.drop_index("ix_tombstones_journal_page", "tombstones", schema=schema)
    op.drop_index("ix_tombstones_not_in_journal", "tombstones", schema=schema)
    op.drop_column("tombstones", "journal_page", schema=schema)
    op.drop_column("tombstones", "erasure_id", schema=schema)


def add_holds_to_erasures(schema: str) -> None:
    """Let a task of an erasure keep what must not be erased yet, and since when nothing else is left."""
    holds = sa.Column("holds", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
    op.add_column("erasure_tasks", holds, schema=schema)
    version = sa.Column("holds_version", sa.Integer(), server_default=sa.text("0"), nullable=False)
    op.add_column("erasure_tasks", version, schema=schema)
    op.add_column("erasure_tasks", sa.Column("held_at", sa.DateTime(timezone=True)), schema=schema)


def drop_holds_from_erasures(schema: str) -> None:
    """Take that back; what is held is erased when the task is worked on next."""
    op.drop_column("erasure_tasks", "held_at", schema=schema)
    op.drop_column("erasure_tasks", "holds_version", schema=schema)
    op.drop_column("erasure_tasks", "holds", schema=schema)


def add_regimes_to_erasures(schema: str) -> None:
    """Let a task of an erasure keep under which laws the person was."""
    column = sa.Column("regimes", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
    op.add_column("erasure_tasks", column, schema=schema)


def drop_regimes_from_erasures(schema: str) -> None:
    """Take that back; reports of before name no laws."""
    op.drop_column("erasure_tasks", "regimes", schema=schema)


def _moment(name: str) -> sa.Column[Any]:
    now = sa.text("clock_timestamp()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _lease() -> list[sa.Column[Any]]:
    return [
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("next_attempt_at"),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
    ]


def _create_outbox(schema: str) -> None:
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _moment("created_at"),
        *_lease(),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("ck_outbox_lease_is_whole")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
        schema=schema,
    )
    op.create_index(op.f("ix_outbox_subject_position"), "outbox", ["subject", "position"], schema=schema)


def _create_inbox(schema: str) -> None:
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        _moment("received_at"),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema=schema,
    )
    op.create_index(op.f("ix_inbox_received_at"), "inbox", ["received_at"], schema=schema)
    op.create_table(
        "failed_attempts",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _moment("last_failed_at"),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_failed_attempts")),
        schema=schema,
    )


def _create_dead_letters(schema: str) -> None:
    op.create_table(
        "dead_letters",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(length=100), nullable=True),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("error_class", sa.String(length=200), nullable=False),
        _moment("parked_at"),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_dead_letters")),
        schema=schema,
    )


def _create_erasures(schema: str) -> None:
    op.create_table(
        "tombstones",
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        _moment("erased_at"),
        sa.PrimaryKeyConstraint("subject_hash", name=op.f("pk_tombstones")),
        schema=schema,
    )
    op.create_table(
        "erasure_tasks",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        *_lease(),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(completed_at IS NULL) = (user_id IS NOT NULL)",
            name=op.f("ck_erasure_tasks_person_until_completed"),
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("ck_erasure_tasks_lease_is_whole")
        ),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasure_tasks")),
        schema=schema,
    )
    op.create_index(
        "ix_erasure_tasks_open",
        "erasure_tasks",
        ["next_attempt_at"],
        schema=schema,
        postgresql_where=sa.text("completed_at IS NULL"),
    )
