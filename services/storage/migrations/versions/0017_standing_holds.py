"""Keep what holds keep when a consent ends or a photo is deleted before the erasure of its owner."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "storage"
Moment = sa.DateTime(timezone=True)

# As when a photo goes: an archive that has it is made anew without it.
REOPEN = """
CREATE FUNCTION storage.reopen_exports_without_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM storage.reopen_exports_of(ARRAY[NEW.user_id]);
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER reopen_exports_without_held AFTER UPDATE ON storage.photos FOR EACH ROW
WHEN (OLD.released_for IS NULL AND NEW.released_for IS NOT NULL)
EXECUTE FUNCTION storage.reopen_exports_without_held()
"""


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "standing_holds",
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("record", sa.Uuid(), nullable=True),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("ended_at", Moment, nullable=True),
        sa.Column("heard_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["storage.consent_gates.user_id"],
            name=op.f("fk_standing_holds_user_id_consent_gates"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_standing_holds")),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_standing_holds_user_id"), "standing_holds", ["user_id"], schema=SCHEMA)
    op.add_column("photos", sa.Column("released_for", sa.String(length=20)), schema=SCHEMA)
    op.create_index(
        "ix_photos_released_for",
        "photos",
        ["user_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("released_for IS NOT NULL"),
    )
    op.execute(REOPEN)
    op.execute(TRIGGER)


def downgrade() -> None:
    """Take the change back; destroys the holds, and what they keep stays until the erasure."""
    op.execute("DROP TRIGGER reopen_exports_without_held ON storage.photos")
    op.execute("DROP FUNCTION storage.reopen_exports_without_held()")
    op.drop_index("ix_photos_released_for", table_name="photos", schema=SCHEMA)
    op.drop_column("photos", "released_for", schema=SCHEMA)
    op.drop_table("standing_holds", schema=SCHEMA)
