"""Give gates positions in a feed of changes, assigned when the feed is read."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("gate_positions", schema=SCHEMA)))
    op.add_column("gates", sa.Column("position", sa.BigInteger()), schema=SCHEMA)
    op.create_unique_constraint(op.f("uq_gates_position"), "gates", ["position"], schema=SCHEMA)
    op.create_index(
        "ix_gates_changed",
        "gates",
        ["user_id", "consent_type"],
        schema=SCHEMA,
        postgresql_where=sa.text("position IS NULL"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_gates_changed", "gates", schema=SCHEMA)
    op.drop_constraint(op.f("uq_gates_position"), "gates", schema=SCHEMA)
    op.drop_column("gates", "position", schema=SCHEMA)
    op.execute(sa.schema.DropSequence(sa.Sequence("gate_positions", schema=SCHEMA)))
