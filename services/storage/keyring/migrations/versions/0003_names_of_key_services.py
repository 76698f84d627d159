"""Make room for the names that key services give their keys."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "keyring"


def upgrade() -> None:
    """Apply the change; a longer varchar rewrites no row."""
    op.alter_column("keys", "key_id", type_=sa.String(length=200), schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; fails while a key has a longer name: move the keys to a provider of before first."""
    op.alter_column("keys", "key_id", type_=sa.String(length=64), schema=SCHEMA)
