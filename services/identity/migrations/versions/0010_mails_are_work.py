"""Make the mails a work table: they are claimed under leases and tried again one by one."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"
MOMENT = sa.DateTime(timezone=True)
COLUMNS = ("attempts", "next_attempt_at", "lease_token", "lease_until", "last_error")


def upgrade() -> None:
    """Apply the change."""
    now = sa.text("clock_timestamp()")
    for column in (
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", MOMENT, server_default=now, nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
    ):
        op.add_column("mails", column, schema=SCHEMA)
    op.create_check_constraint(
        op.f("ck_mails_lease_is_whole"),
        "mails",
        "(lease_token IS NULL) = (lease_until IS NULL)",
        schema=SCHEMA,
    )
    op.drop_index("ix_mails_unsent", "mails", schema=SCHEMA)
    _index_unsent("next_attempt_at")


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_mails_unsent", "mails", schema=SCHEMA)
    op.drop_constraint(op.f("ck_mails_lease_is_whole"), "mails", schema=SCHEMA)
    for column in COLUMNS:
        op.drop_column("mails", column, schema=SCHEMA)
    _index_unsent("requested_at")


def _index_unsent(column: str) -> None:
    op.create_index(
        "ix_mails_unsent", "mails", [column], schema=SCHEMA, postgresql_where=sa.text("settled_at IS NULL")
    )
