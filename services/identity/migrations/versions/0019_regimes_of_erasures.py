"""Keep under which laws an erased person was, as participants say."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis.schema_steps import add_regimes_to_erasures, drop_regimes_from_erasures

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    add_regimes_to_erasures(SCHEMA)
    column = sa.Column("regimes", postgresql.JSONB(), nullable=True)
    op.add_column("erasure_participants", column, schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; destroys under which laws erased people were."""
    op.drop_column("erasure_participants", "regimes", schema=SCHEMA)
    drop_regimes_from_erasures(SCHEMA)
