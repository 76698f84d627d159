"""Create accounts, sessions and erasures."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis.schema_steps import create_messaging, drop_messaging

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply the change."""
    create_messaging("identity")
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("status_token_hash", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times_asked", sa.Integer(), nullable=False),
        sa.Column("overdue_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(completed_at IS NULL) = (user_id IS NOT NULL)", name=op.f("ck_erasures_person_until_completed")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        schema="identity",
        info={"on_erase": "null: the person's id is emptied on completion; counts and times stay as proof"},
    )
    op.create_index(
        "ix_erasures_open",
        "erasures",
        ["requested_at"],
        unique=False,
        schema="identity",
        postgresql_where=sa.text("completed_at IS NULL"),
    )
    op.create_table(
        "participants",
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("handles", postgresql.ARRAY(sa.String(length=20)), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_participants")),
        schema="identity",
        info={"on_erase": "retain: names of services"},
    )
    op.create_table(
        "session_revocations",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_session_revocations")),
        schema="identity",
        info={"on_erase": "retain: a session id, no person's, until its access tokens have expired"},
    )
    op.create_index(
        op.f("ix_session_revocations_expires_at"),
        "session_revocations",
        ["expires_at"],
        unique=False,
        schema="identity",
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("email_key", sa.String(length=320), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("auth_provider", sa.String(length=20), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("active_on", sa.Date(), nullable=True),
        sa.Column("erasure_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        schema="identity",
        info={"on_erase": "delete"},
    )
    op.create_index(
        "uq_users_email_key_live",
        "users",
        ["email_key"],
        unique=True,
        schema="identity",
        postgresql_where=sa.text("erasure_id IS NULL"),
    )
    op.create_table(
        "erasure_participants",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["identity.erasures.id"], name=op.f("fk_erasure_participants_erasure_id_erasures")
        ),
        sa.PrimaryKeyConstraint("erasure_id", "service", name=op.f("pk_erasure_participants")),
        schema="identity",
        info={"on_erase": "retain: counts and times, the proof of the erasure"},
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("authenticated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (end_reason IS NULL)", name=op.f("ck_sessions_end_has_reason")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity.users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        schema="identity",
        info={"on_erase": "delete"},
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False, schema="identity")


def downgrade() -> None:
    """Take the change back; destroys every account, and the memory of who was erased."""
    for table in (
        "sessions",
        "erasure_participants",
        "users",
        "session_revocations",
        "participants",
        "erasures",
    ):
        op.drop_table(table, schema="identity")
    drop_messaging("identity")
