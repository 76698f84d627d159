"""Let a task of an erasure keep what must not be erased yet."""

from collections.abc import Sequence

from chassis.schema_steps import add_holds_to_erasures, drop_holds_from_erasures

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    add_holds_to_erasures(SCHEMA)


def downgrade() -> None:
    """Take the change back; what is held is erased when its task is worked on next."""
    drop_holds_from_erasures(SCHEMA)
