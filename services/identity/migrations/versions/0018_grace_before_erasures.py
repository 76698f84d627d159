"""Keep accounts that are frozen until their erasure begins, and until when an erasure waited."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    op.add_column(
        "erasures", sa.Column("grace_until", sa.DateTime(timezone=True), nullable=True), schema=SCHEMA
    )
    op.create_table(
        "deletion_requests",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("status_token_hash", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("grace_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity.users.id"],
            name=op.f("fk_deletion_requests_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_deletion_requests")),
        sa.UniqueConstraint("user_id", name=op.f("uq_deletion_requests_user_id")),
        schema=SCHEMA,
    )
    for name in ("grace_until", "told_at"):
        op.create_index(op.f(f"ix_deletion_requests_{name}"), "deletion_requests", [name], schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; frozen accounts open again, because nobody would erase them any more."""
    op.execute(
        "UPDATE identity.users SET is_active = true"
        " WHERE id IN (SELECT user_id FROM identity.deletion_requests) AND erasure_id IS NULL"
    )
    op.drop_table("deletion_requests", schema=SCHEMA)
    op.drop_column("erasures", "grace_until", schema=SCHEMA)
