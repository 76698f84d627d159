"""Bound the sessions of an account, number revocations when they are read, and remember which tokens were seen.

Sessions beyond the newest fifty of an account end here, so that nothing later has to walk through thousands.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"

_NUMBER_ON_READING = """
DELETE FROM identity.session_revocations older USING identity.session_revocations newer
    WHERE older.session_id = newer.session_id AND older.position < newer.position;
ALTER TABLE identity.session_revocations DROP CONSTRAINT pk_session_revocations;
ALTER TABLE identity.session_revocations ALTER COLUMN position DROP IDENTITY;
ALTER TABLE identity.session_revocations ALTER COLUMN position DROP NOT NULL;
ALTER TABLE identity.session_revocations ADD CONSTRAINT pk_session_revocations PRIMARY KEY (session_id);
CREATE SEQUENCE identity.session_revocation_positions;
SELECT setval('identity.session_revocation_positions', coalesce(max(position), 0) + 1)
    FROM identity.session_revocations
"""
_END_BEYOND_FIFTY = """
WITH surplus AS (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY last_used_at DESC, id DESC) AS place
        FROM identity.sessions WHERE ended_at IS NULL
    ) AS live WHERE place > 50
), ended AS (
    UPDATE identity.sessions SET ended_at = now(), end_reason = 'security'
    WHERE id IN (SELECT id FROM surplus) RETURNING id
)
INSERT INTO identity.session_revocations (session_id, revoked_at, expires_at)
SELECT id, now(), now() + interval '2 hours' FROM ended ON CONFLICT DO NOTHING
"""
_NUMBER_ON_WRITING = """
UPDATE identity.session_revocations SET position = nextval('identity.session_revocation_positions')
    WHERE position IS NULL;
ALTER TABLE identity.session_revocations DROP CONSTRAINT pk_session_revocations;
ALTER TABLE identity.session_revocations ADD CONSTRAINT pk_session_revocations PRIMARY KEY (position);
ALTER TABLE identity.session_revocations ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(
    pg_get_serial_sequence('identity.session_revocations', 'position'),
    nextval('identity.session_revocation_positions')
);
DROP SEQUENCE identity.session_revocation_positions
"""


def upgrade() -> None:
    """Apply the change."""
    for statement in _NUMBER_ON_READING.split(";"):
        op.execute(statement)
    op.create_index(
        op.f("ix_session_revocations_position"),
        "session_revocations",
        ["position"],
        unique=True,
        schema=SCHEMA,
    )
    op.execute(_END_BEYOND_FIFTY)
    op.add_column(
        "sessions",
        sa.Column("seen_generation", sa.Integer(), server_default=sa.text("1"), nullable=False),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_sessions_ended",
        "sessions",
        ["ended_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "ix_sessions_created_at", "sessions", ["created_at"], schema=SCHEMA, postgresql_using="brin"
    )


def downgrade() -> None:
    """Take the change back; sessions that it ended stay ended."""
    for index in ("ix_sessions_created_at", "ix_sessions_ended"):
        op.drop_index(index, "sessions", schema=SCHEMA)
    op.drop_column("sessions", "seen_generation", schema=SCHEMA)
    op.drop_index(op.f("ix_session_revocations_position"), "session_revocations", schema=SCHEMA)
    for statement in _NUMBER_ON_WRITING.split(";"):
        op.execute(statement)
