"""Note which operator took evidence of which erasure."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "evidence_bundles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["erasure_id"],
            [f"{SCHEMA}.erasures.id"],
            name=op.f("fk_evidence_bundles_erasure_id_erasures"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_bundles")),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_evidence_bundles_erasure_id"), "evidence_bundles", ["erasure_id"], schema=SCHEMA)
    # What was noted stays as it was noted.
    op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {SCHEMA}.evidence_bundles FROM identity_app")


def downgrade() -> None:
    """Take the change back; destroys the notes of who took evidence."""
    op.drop_table("evidence_bundles", schema=SCHEMA)
