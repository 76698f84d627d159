"""Record who was given the bytes of a photo."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "photo_reads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("rendition", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{SCHEMA}.consent_gates.user_id"],
            name=op.f("fk_photo_reads_user_id_consent_gates"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo_reads")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_photo_reads_user_id_photo_id",
        "photo_reads",
        ["user_id", "photo_id", "read_at", "id"],
        schema=SCHEMA,
    )
    op.create_index("ix_photo_reads_read_at", "photo_reads", ["read_at"], schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; destroys the log of reads."""
    op.drop_table("photo_reads", schema=SCHEMA)
