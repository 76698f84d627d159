"""Give each question that is asked again and again an index of its own."""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OPEN = "completed_at IS NULL"
INDEXES = (
    ("ix_erasures_open", "erasures", ["id"], OPEN),
    ("ix_erasures_silent", "erasures", ["times_asked", "asked_at"], OPEN),
    ("ix_erasures_overdue", "erasures", ["deadline"], f"{OPEN} AND overdue_at IS NULL"),
    ("ix_mails_settled", "mails", ["settled_at"], "settled_at IS NOT NULL"),
)


def upgrade() -> None:
    """Apply the change."""
    op.drop_index("ix_erasures_open", table_name="erasures", schema="identity")
    for name, table, columns, condition in INDEXES:
        op.create_index(name, table, columns, schema="identity", postgresql_where=text(condition))


def downgrade() -> None:
    """Take the change back."""
    for name, table, *_ in INDEXES:
        op.drop_index(name, table_name=table, schema="identity")
    op.create_index(
        "ix_erasures_open", "erasures", ["requested_at"], schema="identity", postgresql_where=text(OPEN)
    )
