"""Let photos whose consent was withdrawn wait, closed, for their destruction."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"
BY_TRIGGER = """
CREATE OR REPLACE FUNCTION storage.reopen_exports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM storage.reopen_exports_of(
        ARRAY(SELECT DISTINCT user_id FROM deleted WHERE received_at IS NOT NULL)
    );
    RETURN NULL;
END $$
"""
# What the trigger did before, for whoever is named.
REOPEN = """
CREATE FUNCTION storage.reopen_exports_of(people uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH reopened AS (
        UPDATE storage.exports AS export
        SET version = export.version + 1, status = 'pending', parts = 0, bytes = 0, photos = 0,
            ready_at = NULL, expires_at = NULL, download_until = NULL,
            next_attempt_at = clock_timestamp(), lease_token = NULL, lease_until = NULL
        WHERE export.user_id = ANY (people) AND export.ended_at IS NULL
        RETURNING export.id, export.folder, export.version - 1 AS version
    ),
    unsealed AS (DELETE FROM storage.export_parts WHERE export_id IN (SELECT id FROM reopened)),
    unlisted AS (DELETE FROM storage.export_files WHERE export_id IN (SELECT id FROM reopened))
    INSERT INTO storage.destructions (id, prefix, next_attempt_at)
    SELECT gen_random_uuid(), folder || 'archive/' || version || '/', clock_timestamp() + pause
    FROM reopened, (VALUES (interval '0'), (interval '10 minutes')) AS sweep (pause);
END $$
"""
BEFORE = """
CREATE OR REPLACE FUNCTION storage.reopen_exports() RETURNS trigger LANGUAGE plpgsql AS $$
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


def upgrade() -> None:
    """Apply the change."""
    op.add_column("photos", sa.Column("destroy_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.create_check_constraint(
        op.f("ck_photos_waits_closed"),
        "photos",
        "destroy_at IS NULL OR closed_at IS NOT NULL",
        schema=SCHEMA,
    )
    op.create_index(
        "ix_photos_destroy_at",
        "photos",
        ["destroy_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("destroy_at IS NOT NULL"),
    )
    op.execute(REOPEN)
    op.execute(BY_TRIGGER)


def downgrade() -> None:
    """Take the change back; what waits is listed again nowhere, and goes with its person."""
    op.execute(BEFORE)
    op.execute("DROP FUNCTION storage.reopen_exports_of(uuid[])")
    op.drop_column("photos", "destroy_at", schema=SCHEMA)
