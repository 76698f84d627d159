"""Know repeated uploads by a keyed digest, remember whether the address was proved, and what was lost."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"


def upgrade() -> None:
    op.add_column("photos", sa.Column("upload_digest", sa.String(length=64)), schema=SCHEMA)
    op.add_column(
        "photos",
        sa.Column("address_proved", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("photos", sa.Column("lost_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.create_index(
        "ix_photos_upload_digest",
        "photos",
        ["upload_expires_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("upload_digest IS NOT NULL"),
    )
    op.create_index("ix_destructions_prefix", "destructions", ["prefix"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("ix_destructions_prefix", "destructions", schema=SCHEMA)
    op.drop_index("ix_photos_upload_digest", "photos", schema=SCHEMA)
    for column in ("lost_at", "address_proved", "upload_digest"):
        op.drop_column("photos", column, schema=SCHEMA)
