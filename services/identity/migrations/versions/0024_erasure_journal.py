"""Keep who was erased in the erasure journal, outside of every backup."""

from collections.abc import Sequence

from chassis.schema_steps import add_erasure_journal, drop_erasure_journal

revision: str = "0024"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"


def upgrade() -> None:
    """Apply the change."""
    add_erasure_journal(SCHEMA)


def downgrade() -> None:
    """Take the change back."""
    drop_erasure_journal(SCHEMA)
