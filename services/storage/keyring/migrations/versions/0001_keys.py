"""Create the wrapped data keys and the memory of those that were destroyed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "keyring"


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_keys")),
        schema=SCHEMA,
    )
    op.create_table(
        "tombstones",
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        _moment("erased_at"),
        sa.PrimaryKeyConstraint("subject_hash", name=op.f("pk_tombstones")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Take the change back; destroys every data key, so no photo can ever be opened again."""
    op.drop_table("tombstones", schema=SCHEMA)
    op.drop_table("keys", schema=SCHEMA)


def _moment(name: str) -> sa.Column[object]:
    now = sa.text("clock_timestamp()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)
