"""Create the ledger, which the service's role can only append to, and the gates."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    _create_gates()
    _create_entries()
    _index_entries()
    _make_entries_append_only()


def downgrade() -> None:
    """Take the change back; destroys the ledger: nobody can prove any consent any more."""
    op.execute("DROP FUNCTION consent.erase_person(uuid)")
    op.drop_table("entries", schema=SCHEMA)
    op.drop_table("gates", schema=SCHEMA)


def _create_gates() -> None:
    op.create_table(
        "gates",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("consent_type", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("open_consent_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "consent_type", name=op.f("pk_gates")),
        schema=SCHEMA,
    )


def _create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("consent_type", sa.String(length=32), nullable=False),
        sa.Column("jurisdiction", sa.String(length=32), nullable=False),
        sa.Column("jurisdictions", postgresql.ARRAY(sa.String(length=32)), nullable=False),
        sa.Column("consent_text_version", sa.String(length=32), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=35), nullable=False),
        sa.Column("ruleset_version", sa.String(length=32), nullable=False),
        sa.Column("ruleset_digest", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("consent_id", sa.Uuid(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("kind IN ('grant', 'withdrawal')", name=op.f("ck_entries_kind_is_known")),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_entries_epoch_is_positive")),
        sa.CheckConstraint(
            "(kind = 'grant') = (expires_at IS NOT NULL)", name=op.f("ck_entries_grants_expire")
        ),
        sa.CheckConstraint(
            "num_nulls(user_id, consent_id, salt) = 0"
            " OR (num_nulls(user_id, consent_id, salt) = 3 AND metadata IS NULL)",
            name=op.f("ck_entries_whole_or_blank"),
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_entries")),
        schema=SCHEMA,
    )


def _index_entries() -> None:
    op.create_index(
        "uq_entries_user_id_consent_type_epoch",
        "entries",
        ["user_id", "consent_type", "epoch"],
        unique=True,
        schema=SCHEMA,
    )
    op.create_index(
        "uq_entries_granted_consent_id",
        "entries",
        ["consent_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("kind = 'grant'"),
    )


def _make_entries_append_only() -> None:
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON consent.entries FROM consent_app")
    # The function runs with its owner's rights, so nothing a caller controls may decide what its names mean.
    op.execute(
        """
        CREATE FUNCTION consent.erase_person(person uuid) RETURNS bigint
        LANGUAGE sql VOLATILE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $$
            WITH blanked AS (
                UPDATE consent.entries
                SET user_id = NULL, consent_id = NULL, metadata = NULL, salt = NULL
                WHERE user_id = person
                RETURNING 1
            )
            SELECT count(*) FROM blanked
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION consent.erase_person(uuid) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION consent.erase_person(uuid) TO consent_app")
