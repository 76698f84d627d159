"""Count what each person uses of their limits; what has arrived before is counted once, here."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "usage_counts",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.Column("photos", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{SCHEMA}.consent_gates.user_id"],
            name=op.f("fk_usage_counts_user_id_consent_gates"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_usage_counts")),
        schema=SCHEMA,
    )
    op.execute(
        f"INSERT INTO {SCHEMA}.usage_counts (user_id, day, begun, photos, bytes)"  # noqa: S608
        " SELECT photo.user_id, CURRENT_DATE, 0, count(*), sum(photo.received_bytes)"
        f" FROM {SCHEMA}.photos photo JOIN {SCHEMA}.consent_gates gate ON gate.user_id = photo.user_id"
        " WHERE photo.received_at IS NOT NULL GROUP BY photo.user_id"
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("usage_counts", schema=SCHEMA)
