"""Keep how far the feed of changed consents was followed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "feed_positions",
        sa.Column("feed", sa.String(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_feed_positions")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Take the change back; the release before asks about every open gate."""
    op.drop_table("feed_positions", schema=SCHEMA)
