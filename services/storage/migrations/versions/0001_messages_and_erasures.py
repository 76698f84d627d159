"""Create the tables that carry messages and erasures."""

from collections.abc import Sequence

from chassis.schema_steps import create_messaging, drop_messaging

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    create_messaging(SCHEMA)


def downgrade() -> None:
    """Take the change back; destroys erasures, the memory of who was erased, and events that wait."""
    drop_messaging(SCHEMA)
