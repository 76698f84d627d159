"""Keep how people want their data to be treated."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("opted_out_at", sa.DateTime(timezone=True)),
        sa.Column("gpc_honored_at", sa.DateTime(timezone=True)),
        sa.Column("limited_at", sa.DateTime(timezone=True)),
        sa.Column("source", sa.String(length=16)),
        sa.Column("reprompt_not_before", sa.DateTime(timezone=True)),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_preferences_epoch_is_positive")),
        sa.CheckConstraint(
            "opted_out_at IS NULL OR source IS NOT NULL", name=op.f("ck_preferences_opted_out_by_somebody")
        ),
        sa.CheckConstraint(
            "gpc_honored_at IS NULL OR opted_out_at IS NOT NULL", name=op.f("ck_preferences_signal_opts_out")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_preferences")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Take the change back; destroys what people chose."""
    op.drop_table("preferences", schema=SCHEMA)
