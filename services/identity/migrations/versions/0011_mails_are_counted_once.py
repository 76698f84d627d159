"""Remember of a mail that it was counted for its recipient, so that no later attempt counts it again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    op.add_column(
        "mails",
        sa.Column("admitted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("mails", "admitted", schema=SCHEMA)
