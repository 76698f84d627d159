"""Let an upload arrive in pieces: how long it will be, and which parts of it are there."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("photos", sa.Column("upload_length", sa.BigInteger()), schema=SCHEMA)
    op.add_column("photos", sa.Column("upload_parts", sa.ARRAY(sa.BigInteger())), schema=SCHEMA)


def downgrade() -> None:
    """Take the change back; uploads that have not arrived whole can't go on."""
    for column in ("upload_parts", "upload_length"):
        op.drop_column("photos", column, schema=SCHEMA)
