"""Create the tables that carry messages and erasures."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    _create_outbox()
    _create_inbox()
    _create_dead_letters()
    _create_erasures()


def downgrade() -> None:
    """Take the change back; destroys erasures, the memory of who was erased, and events that wait."""
    for table in ("erasure_tasks", "tombstones", "dead_letters", "failed_attempts", "inbox", "outbox"):
        op.drop_table(table, schema=SCHEMA)


def _moment(name: str) -> sa.Column[object]:
    now = sa.text("clock_timestamp()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _lease() -> list[sa.Column[object]]:
    return [
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("next_attempt_at"),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
    ]


def _create_outbox() -> None:
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
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_outbox_subject_position"), "outbox", ["subject", "position"], schema=SCHEMA)


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        _moment("received_at"),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_inbox_received_at"), "inbox", ["received_at"], schema=SCHEMA)
    op.create_table(
        "failed_attempts",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _moment("last_failed_at"),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_failed_attempts")),
        schema=SCHEMA,
    )


def _create_dead_letters() -> None:
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
        schema=SCHEMA,
    )


def _create_erasures() -> None:
    op.create_table(
        "tombstones",
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        _moment("erased_at"),
        sa.PrimaryKeyConstraint("subject_hash", name=op.f("pk_tombstones")),
        schema=SCHEMA,
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
        schema=SCHEMA,
    )
    op.create_index(
        "ix_erasure_tasks_open",
        "erasure_tasks",
        ["next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("completed_at IS NULL"),
    )
