"""Bring every checkpoint into the object store, those that there are already too."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0040"
down_revision: str | None = "0031"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    op.create_table(
        "log_uploads",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("ck_log_uploads_lease_is_whole")
        ),
        sa.PrimaryKeyConstraint("tree_size", name=op.f("pk_log_uploads")),
        schema=SCHEMA,
    )
    # A trigger, so that an earlier release that still seals has its checkpoints stored as well.
    op.execute(
        """
        CREATE FUNCTION consent.queue_for_store() RETURNS trigger
        LANGUAGE plpgsql
        AS $$
        BEGIN
            INSERT INTO consent.log_uploads (tree_size) VALUES (NEW.tree_size);
            RETURN NULL;
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION consent.queue_for_store() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER queue_checkpoint AFTER INSERT ON consent.log_checkpoints"
        " FOR EACH ROW EXECUTE FUNCTION consent.queue_for_store()"
    )
    op.execute("INSERT INTO consent.log_uploads (tree_size) SELECT tree_size FROM consent.log_checkpoints")


def downgrade() -> None:
    """Take the change back; destroys which checkpoints are not in the object store yet."""
    op.execute("DROP TRIGGER queue_checkpoint ON consent.log_checkpoints")
    op.execute("DROP FUNCTION consent.queue_for_store()")
    op.drop_table("log_uploads", schema=SCHEMA)
