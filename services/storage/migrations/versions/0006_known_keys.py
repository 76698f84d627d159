"""Remember which keys the schema is written with."""

from collections.abc import Sequence

from chassis.schema_steps import add_known_keys, drop_known_keys

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    add_known_keys(SCHEMA)


def downgrade() -> None:
    """Take the change back."""
    drop_known_keys(SCHEMA)
