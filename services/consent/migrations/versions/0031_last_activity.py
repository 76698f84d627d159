"""Keep the last day on which somebody was here, from which retention is counted."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    """Apply the change; nobody has counted before, so whoever agreed to something counts as here today."""
    op.create_table(
        "activities",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("active_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_activities")),
        schema=SCHEMA,
    )
    op.execute(
        "INSERT INTO consent.activities (user_id, active_on)"
        " SELECT DISTINCT user_id, (now() AT TIME ZONE 'UTC')::date FROM consent.gates"
    )


def downgrade() -> None:
    """Take the change back; destroys the days on which people were last here."""
    op.drop_table("activities", schema=SCHEMA)
