"""Create photos, consent gates and the orders to destroy."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_photos()
    _create_consent_gates()
    _create_destructions()


def downgrade() -> None:
    """Take the change back; destroys the rows of all photos and the orders to destroy, not the objects."""
    for table in ("destructions", "consent_gates", "photos"):
        op.drop_table(table, schema=SCHEMA)


def _create_photos() -> None:
    op.create_table(
        "photos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("s3_key", sa.String(length=200), nullable=False),
        sa.Column("declared_type", sa.String(length=20), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("consent_epoch", sa.BigInteger(), nullable=False),
        sa.Column("upload_token_hash", sa.String(length=64), nullable=False),
        sa.Column("upload_expires_at", Moment, nullable=False),
        sa.Column("upload_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("upload_lease_until", Moment, nullable=True),
        sa.Column("closed_at", Moment, nullable=True),
        sa.Column("received_at", Moment, nullable=True),
        sa.Column("received_bytes", sa.BigInteger(), nullable=True),
        sa.Column("content_type", sa.String(length=20), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("sealed_version", sa.Integer(), nullable=True),
        sa.Column("confirmed_at", Moment, nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.CheckConstraint(
            "num_nulls(received_at, received_bytes, content_type, width, height, sealed_version) IN (0, 6)",
            name=op.f("ck_photos_received_is_whole"),
        ),
        sa.CheckConstraint(
            "confirmed_at IS NULL OR received_at IS NOT NULL", name=op.f("ck_photos_confirmed_was_received")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        schema=SCHEMA,
    )
    op.create_index("ix_photos_user_id_created_at", "photos", ["user_id", "created_at", "id"], schema=SCHEMA)
    op.create_index(
        "ix_photos_unconfirmed",
        "photos",
        ["upload_expires_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )


def _create_consent_gates() -> None:
    op.create_table(
        "consent_gates",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_epoch", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", Moment, nullable=False),
        sa.CheckConstraint(
            "granted = (consent_id IS NOT NULL)", name=op.f("ck_consent_gates_granted_has_consent")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_consent_gates")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_consent_gates_checked_at",
        "consent_gates",
        ["checked_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("granted"),
    )


def _create_destructions() -> None:
    op.create_table(
        "destructions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.String(length=200), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("photo_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("next_attempt_at", Moment, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", Moment, nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "num_nulls(user_id, photo_id, reason) IN (0, 3)", name=op.f("ck_destructions_announced_is_whole")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("ck_destructions_lease_is_whole")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destructions")),
        schema=SCHEMA,
    )
    op.create_index(
        op.f("ix_destructions_next_attempt_at"), "destructions", ["next_attempt_at"], schema=SCHEMA
    )
    op.create_index(op.f("ix_destructions_user_id"), "destructions", ["user_id"], schema=SCHEMA)
