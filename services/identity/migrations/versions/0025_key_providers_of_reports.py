"""Keep what wrapped the data keys of an erased person, as participants say."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    column = sa.Column("key_providers", postgresql.JSONB(), nullable=True)
    op.add_column("erasure_participants", column, schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; destroys what wrapped the data keys of erased people."""
    op.drop_column("erasure_participants", "key_providers", schema=SCHEMA)
