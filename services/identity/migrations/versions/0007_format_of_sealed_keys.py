"""Begin sealed signing keys with the byte that says how they are sealed."""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute(r"UPDATE identity.signing_keys SET sealed_private_key = '\x01'::bytea || sealed_private_key")


def downgrade() -> None:
    """Take the change back."""
    op.execute("UPDATE identity.signing_keys SET sealed_private_key = substr(sealed_private_key, 2)")
