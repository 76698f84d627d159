"""Keep the requests to processors outside of the platform, until each has reported."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA, TABLE = "identity", "processor_requests"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        TABLE,
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("processor", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("deadline", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "(settled_at IS NULL) = (user_id IS NOT NULL)",
            name=op.f("ck_processor_requests_person_until_settled"),
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)",
            name=op.f("ck_processor_requests_lease_is_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["erasure_id"],
            [f"{SCHEMA}.erasures.id"],
            name=op.f("fk_processor_requests_erasure_id_erasures"),
        ),
        sa.PrimaryKeyConstraint("erasure_id", "processor", name=op.f("pk_processor_requests")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_processor_requests_open",
        TABLE,
        ["next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("settled_at IS NULL"),
    )


def downgrade() -> None:
    """Take the change back; destroys which processors were asked."""
    op.drop_table(TABLE, schema=SCHEMA)
