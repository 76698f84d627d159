"""Create the entries, and the tables that carry messages and erasures."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from chassis.schema_steps import (
    add_erasure_journal,
    add_holds_to_erasures,
    add_known_keys,
    add_mandatory_to_outbox,
    add_regimes_to_erasures,
    create_idempotency_keys,
    create_messaging,
    drop_erasure_journal,
    drop_idempotency_keys,
    drop_known_keys,
    drop_messaging,
)

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "sample"


def upgrade() -> None:
    create_messaging(SCHEMA)
    add_mandatory_to_outbox(SCHEMA)
    create_idempotency_keys(SCHEMA)
    add_known_keys(SCHEMA)
    add_erasure_journal(SCHEMA)
    add_regimes_to_erasures(SCHEMA)
    add_holds_to_erasures(SCHEMA)
    op.create_table(
        "entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_entries_user_id"), "entries", ["user_id"], schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; destroys the entries and the memory of who was erased."""
    op.drop_table("entries", schema=SCHEMA)
    drop_erasure_journal(SCHEMA)
    drop_known_keys(SCHEMA)
    drop_idempotency_keys(SCHEMA)
    drop_messaging(SCHEMA)
