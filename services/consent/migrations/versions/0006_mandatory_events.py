"""Let the author of an event say whether it must reach a queue."""

from collections.abc import Sequence

from chassis.schema_steps import add_mandatory_to_outbox, drop_mandatory_from_outbox

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    """Apply the change."""
    add_mandatory_to_outbox(SCHEMA)


def downgrade() -> None:
    """Take the change back."""
    drop_mandatory_from_outbox(SCHEMA)
