"""Let a task of an erasure keep under which laws the person was."""

from collections.abc import Sequence

from chassis.schema_steps import add_regimes_to_erasures, drop_regimes_from_erasures

revision: str = "0041"
down_revision: str | None = "0040"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    """Apply the change."""
    add_regimes_to_erasures(SCHEMA)


def downgrade() -> None:
    """Take the change back."""
    drop_regimes_from_erasures(SCHEMA)
