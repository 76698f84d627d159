"""Keep which officer placed a hold over HTTP, and which released it, as keyed hashes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"
OFFICERS = ("placing_officer", "releasing_officer")


def upgrade() -> None:
    """Apply the change."""
    for name in OFFICERS:
        op.add_column("holds", sa.Column(name, sa.String(length=64)), schema=SCHEMA)
    # Who placed it is said once; who releases it is not known before.
    op.execute("GRANT UPDATE (releasing_officer) ON identity.holds TO identity_app")


def downgrade() -> None:
    """Take the change back; destroys the names of officers."""
    for name in OFFICERS:
        op.drop_column("holds", name, schema=SCHEMA)
