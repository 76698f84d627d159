"""Create the exports, what they are made of, and who contributes to them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"
Moment = sa.DateTime(timezone=True)
ZERO = sa.text("0")

# An archive never holds a photo that was let go of, whoever lets go of it and why: it is made anew without.
# A lease that is held is lost, and what was sealed so far is destroyed; a part that was under way, a little later.
REOPEN = """
CREATE FUNCTION storage.reopen_exports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (SELECT DISTINCT user_id FROM deleted WHERE received_at IS NOT NULL),
    reopened AS (
        UPDATE storage.exports AS export
        SET version = export.version + 1, status = 'pending', parts = 0, bytes = 0, photos = 0,
            ready_at = NULL, expires_at = NULL, download_until = NULL,
            next_attempt_at = clock_timestamp(), lease_token = NULL, lease_until = NULL
        FROM gone WHERE export.user_id = gone.user_id AND export.ended_at IS NULL
        RETURNING export.id, export.folder, export.version - 1 AS version
    ),
    unsealed AS (DELETE FROM storage.export_parts WHERE export_id IN (SELECT id FROM reopened)),
    unlisted AS (DELETE FROM storage.export_files WHERE export_id IN (SELECT id FROM reopened))
    INSERT INTO storage.destructions (id, prefix, next_attempt_at)
    SELECT gen_random_uuid(), folder || 'archive/' || version || '/', clock_timestamp() + pause
    FROM reopened, (VALUES (interval '0'), (interval '10 minutes')) AS sweep (pause);
    RETURN NULL;
END $$
"""
WHEN_PHOTOS_GO = """
CREATE TRIGGER reopen_exports AFTER DELETE ON storage.photos
REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION storage.reopen_exports()
"""


def upgrade() -> None:
    _create_exports()
    _create_sections()
    _create_parts()
    _create_files()
    op.create_table(
        "export_contributors",
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("joined_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_export_contributors")),
        schema=SCHEMA,
    )
    op.execute(REOPEN)
    op.execute(WHEN_PHOTOS_GO)


def downgrade() -> None:
    """Take the change back; the objects of exports stay, until the erasure of their people."""
    op.execute("DROP TRIGGER reopen_exports ON storage.photos")
    op.execute("DROP FUNCTION storage.reopen_exports()")
    for table in ("export_contributors", "export_files", "export_parts", "export_sections", "exports"):
        op.drop_table(table, schema=SCHEMA)


def _create_exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("end_reason", sa.String(length=20), nullable=True),
        sa.Column("folder", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("parts", sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("photos", sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column("requested_at", Moment, nullable=False),
        sa.Column("asked_at", Moment, nullable=False),
        sa.Column("ready_at", Moment, nullable=True),
        sa.Column("expires_at", Moment, nullable=True),
        sa.Column("download_until", Moment, nullable=True),
        sa.Column("downloaded_at", Moment, nullable=True),
        sa.Column("ended_at", Moment, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column("next_attempt_at", Moment, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", Moment, nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'ready', 'expired', 'failed')", name=op.f("ck_exports_status_is_known")
        ),
        sa.CheckConstraint(
            "(status = 'ready') <= (expires_at IS NOT NULL)", name=op.f("ck_exports_ready_until")
        ),
        sa.CheckConstraint(
            "(status IN ('expired', 'failed')) = (ended_at IS NOT NULL)",
            name=op.f("ck_exports_ended_at_its_end"),
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("ck_exports_lease_is_whole")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        schema=SCHEMA,
    )
    op.create_index("ix_exports_user_id", "exports", ["user_id", "requested_at"], schema=SCHEMA)
    for name, columns, where, unique in (
        ("uq_exports_open", ["user_id"], "ended_at IS NULL", True),
        ("ix_exports_pending", ["next_attempt_at"], "status = 'pending'", False),
        ("ix_exports_ended_at", ["ended_at"], "ended_at IS NOT NULL", False),
    ):
        op.create_index(
            name, "exports", columns, unique=unique, schema=SCHEMA, postgresql_where=sa.text(where)
        )


def _of_an_export(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["export_id"],
        [f"{SCHEMA}.exports.id"],
        name=op.f(f"fk_{table}_export_id_exports"),
        ondelete="CASCADE",
    )


def _create_sections() -> None:
    op.create_table(
        "export_sections",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Uuid(), nullable=True),
        sa.Column("parts", sa.Integer(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("received_at", Moment, nullable=True),
        sa.Column("records", postgresql.JSONB(), nullable=True),
        sa.Column("reported_at", Moment, nullable=True),
        sa.CheckConstraint(
            "num_nulls(received_at, attempt, parts, bytes) IN (0, 4)",
            name=op.f("ck_export_sections_received_is_whole"),
        ),
        sa.CheckConstraint(
            "(reported_at IS NULL) = (records IS NULL)", name=op.f("ck_export_sections_reported_with_counts")
        ),
        _of_an_export("export_sections"),
        sa.PrimaryKeyConstraint("export_id", "service", name=op.f("pk_export_sections")),
        schema=SCHEMA,
    )


def _create_parts() -> None:
    op.create_table(
        "export_parts",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        _of_an_export("export_parts"),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_export_parts")),
        schema=SCHEMA,
    )


def _create_files() -> None:
    op.create_table(
        "export_files",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("packed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("crc", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        _of_an_export("export_files"),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_export_files")),
        schema=SCHEMA,
    )
