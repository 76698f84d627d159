"""Let photos be read by key in the order of the bucket."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    """Apply the change."""
    op.alter_column("photos", "s3_key", type_=sa.String(length=200, collation="C"), schema=SCHEMA)
    op.create_index(op.f("ix_photos_s3_key"), "photos", ["s3_key"], schema=SCHEMA)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index(op.f("ix_photos_s3_key"), "photos", schema=SCHEMA)
    op.alter_column("photos", "s3_key", type_=sa.String(length=200, collation="default"), schema=SCHEMA)
