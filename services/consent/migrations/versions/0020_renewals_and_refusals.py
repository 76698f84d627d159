"""Record refusals, renewals, the declared residence, and the rules of every regime that a place was resolved to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0020"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"
BLANK = "num_nonnulls(metadata, country, region{residence}, ip_address) = 0"
GRANTS = {"uq_entries_granted_consent_id": ["consent_id"], "ix_entries_grants": ["user_id", "position"]}


def upgrade() -> None:
    """Apply the change."""
    op.add_column("entries", sa.Column("residence", sa.String(length=6)), schema=SCHEMA)
    op.add_column(
        "entries", sa.Column("resolved_digests", postgresql.ARRAY(sa.String(length=64))), schema=SCHEMA
    )
    op.execute("GRANT INSERT (residence, resolved_digests) ON consent.entries TO consent_app")
    _say(
        "kind IN ('grant', 'renewal')", "'grant', 'renewal', 'refusal', 'withdrawal', 'expiry'", ", residence"
    )
    _blank("residence = NULL, ")


def downgrade() -> None:
    """Take the change back; destroys refusals and declared residences, and makes renewals grants."""
    _blank("")
    op.execute("DELETE FROM consent.entries WHERE kind = 'refusal'")
    op.execute("UPDATE consent.entries SET kind = 'grant' WHERE kind = 'renewal'")
    _say("kind = 'grant'", "'grant', 'withdrawal', 'expiry'", "")
    for column in ("resolved_digests", "residence"):
        op.drop_column("entries", column, schema=SCHEMA)


def _say(is_a_yes: str, kinds: str, residence: str) -> None:
    checks = {
        "ck_entries_kind_is_known": f"kind IN ({kinds})",
        "ck_entries_grants_expire": f"({is_a_yes}) = (expires_at IS NOT NULL)",
        "ck_entries_whole_or_blank": "num_nulls(user_id, consent_id, salt) = 0"
        f" OR (num_nulls(user_id, consent_id, salt) = 3 AND {BLANK.format(residence=residence)})",
    }
    for name, condition in checks.items():
        op.drop_constraint(op.f(name), "entries", schema=SCHEMA)
        op.create_check_constraint(op.f(name), "entries", condition, schema=SCHEMA)
    for name, columns in GRANTS.items():
        op.drop_index(name, schema=SCHEMA)
        op.create_index(
            name,
            "entries",
            columns,
            unique=name.startswith("uq_"),
            schema=SCHEMA,
            postgresql_where=sa.text(is_a_yes),
        )


def _blank(residence: str) -> None:
    # The function runs with its owner's rights, so nothing a caller controls may decide what its names mean.
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION consent.erase_person(person uuid) RETURNS bigint
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $$
        DECLARE
            blanked bigint;
        BEGIN
            IF NOT EXISTS (
                SELECT FROM consent.erasure_tasks WHERE user_id = person AND completed_at IS NULL
            ) THEN
                RAISE EXCEPTION 'permission denied: no erasure of this person is open'
                USING ERRCODE = 'insufficient_privilege';
            END IF;
            UPDATE consent.entries
            SET user_id = NULL, consent_id = NULL, metadata = NULL, country = NULL, region = NULL,
                {residence}ip_address = NULL, salt = NULL
            WHERE user_id = person;
            GET DIAGNOSTICS blanked = ROW_COUNT;
            RETURN blanked;
        END
        $$
        """  # noqa: S608 - one of two literals above
    )
