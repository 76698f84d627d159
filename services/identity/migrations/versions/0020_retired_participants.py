"""Let operators retire a participant that is gone, with a reason that every erasure without it shows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"
TABLES = ("participants", "erasure_participants")


def upgrade() -> None:
    """Apply the change."""
    for table in TABLES:
        op.add_column(
            table, sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True), schema=SCHEMA
        )
        op.add_column(table, sa.Column("retired_reason", sa.String(length=200), nullable=True), schema=SCHEMA)
        op.create_check_constraint(
            op.f(f"ck_{table}_retired_with_a_reason"),
            table,
            "(retired_at IS NULL) = (retired_reason IS NULL)",
            schema=SCHEMA,
        )


def downgrade() -> None:
    """Take the change back; destroys which participants were retired, and why."""
    for table in TABLES:
        op.drop_constraint(op.f(f"ck_{table}_retired_with_a_reason"), table, schema=SCHEMA)
        op.drop_column(table, "retired_reason", schema=SCHEMA)
        op.drop_column(table, "retired_at", schema=SCHEMA)
