"""Remember of the token of a confirmation that it was used, so that a repeat gets the same answer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    op.add_column(
        "mail_tokens", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True), schema=SCHEMA
    )


def downgrade() -> None:
    """Take the change back; a used token must not become good again."""
    op.execute("DELETE FROM identity.mail_tokens WHERE used_at IS NOT NULL")
    op.drop_column("mail_tokens", "used_at", schema=SCHEMA)
