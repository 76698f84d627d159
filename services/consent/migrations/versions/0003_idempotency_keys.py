"""Create the table of the answers that are kept for a day, so that a repeated request acts once."""

from collections.abc import Sequence

from chassis.schema_steps import create_idempotency_keys, drop_idempotency_keys

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    create_idempotency_keys(SCHEMA)


def downgrade() -> None:
    """Take the change back; destroys the answers that are kept: a repeated request acts again."""
    drop_idempotency_keys(SCHEMA)
