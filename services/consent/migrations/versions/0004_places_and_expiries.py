"""Record where a grant was made, let consents lapse by an entry, and leave position and time to the database."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"
WHOLE_OR_BLANK = "ck_entries_whole_or_blank"
KIND_IS_KNOWN = "ck_entries_kind_is_known"
PLACE = ("ip_address", "region", "country", "territories_digest", "resolved_jurisdictions", "source")
# All that a row of the ledger is made of, except position and time.
WRITTEN_BY_THE_SERVICE = (
    "kind, consent_type, jurisdiction, jurisdictions, consent_text_version, text_digest, locale,"
    " ruleset_version, ruleset_digest, epoch, expires_at, source, resolved_jurisdictions, territories_digest,"
    " commitment, user_id, consent_id, metadata, country, region, ip_address, salt"
)


def upgrade() -> None:
    _record_the_place()
    _let_consents_lapse()
    _answer_from_the_gate()
    _leave_position_and_time_to_the_database()
    _blank_only_who_is_being_erased()


def downgrade() -> None:
    """Take the change back; destroys the entries of lapsed consents, and where each grant was made."""
    _blank_whoever_is_named()
    _leave_position_and_time_to_the_service()
    for index in ("ix_gates_open_until", "ix_entries_grants", "ix_entries_withdrawals"):
        op.drop_index(index, schema=SCHEMA)
    for column in ("open_until", "ended_epoch"):
        op.drop_column("gates", column, schema=SCHEMA)
    for constraint in (WHOLE_OR_BLANK, KIND_IS_KNOWN):
        op.drop_constraint(op.f(constraint), "entries", schema=SCHEMA)
    op.execute("DELETE FROM consent.entries WHERE kind = 'expiry'")
    op.create_check_constraint(
        op.f(KIND_IS_KNOWN), "entries", "kind IN ('grant', 'withdrawal')", schema=SCHEMA
    )
    for column in PLACE:
        op.drop_column("entries", column, schema=SCHEMA)
    op.create_check_constraint(
        op.f(WHOLE_OR_BLANK),
        "entries",
        "num_nulls(user_id, consent_id, salt) = 0"
        " OR (num_nulls(user_id, consent_id, salt) = 3 AND metadata IS NULL)",
        schema=SCHEMA,
    )


def _record_the_place() -> None:
    op.add_column("entries", sa.Column("source", sa.String(length=16)), schema=SCHEMA)
    op.add_column(
        "entries",
        sa.Column("resolved_jurisdictions", postgresql.ARRAY(sa.String(length=32))),
        schema=SCHEMA,
    )
    op.add_column("entries", sa.Column("territories_digest", sa.String(length=64)), schema=SCHEMA)
    op.add_column("entries", sa.Column("country", sa.String(length=2)), schema=SCHEMA)
    op.add_column("entries", sa.Column("region", sa.String(length=3)), schema=SCHEMA)
    op.add_column("entries", sa.Column("ip_address", sa.String(length=45)), schema=SCHEMA)
    op.drop_constraint(op.f(WHOLE_OR_BLANK), "entries", schema=SCHEMA)
    op.create_check_constraint(
        op.f(WHOLE_OR_BLANK),
        "entries",
        "num_nulls(user_id, consent_id, salt) = 0"
        " OR (num_nulls(user_id, consent_id, salt) = 3"
        " AND num_nonnulls(metadata, country, region, ip_address) = 0)",
        schema=SCHEMA,
    )


def _let_consents_lapse() -> None:
    op.drop_constraint(op.f(KIND_IS_KNOWN), "entries", schema=SCHEMA)
    op.create_check_constraint(
        op.f(KIND_IS_KNOWN), "entries", "kind IN ('grant', 'withdrawal', 'expiry')", schema=SCHEMA
    )
    op.create_index(
        "ix_entries_withdrawals",
        "entries",
        ["user_id", "consent_type", "epoch"],
        schema=SCHEMA,
        postgresql_where=sa.text("kind = 'withdrawal'"),
    )
    op.create_index(
        "ix_entries_grants",
        "entries",
        ["user_id", "position"],
        schema=SCHEMA,
        postgresql_where=sa.text("kind = 'grant'"),
    )


def _answer_from_the_gate() -> None:
    op.add_column(
        "gates",
        sa.Column("ended_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("gates", sa.Column("open_until", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.execute(
        """
        UPDATE consent.gates AS gate
        SET ended_epoch = (
                SELECT coalesce(max(entry.epoch), 0) FROM consent.entries AS entry
                WHERE entry.user_id = gate.user_id AND entry.consent_type = gate.consent_type
                AND entry.kind = 'withdrawal'
            ),
            open_until = (
                SELECT entry.expires_at FROM consent.entries AS entry
                WHERE entry.kind = 'grant' AND entry.consent_id = gate.open_consent_id
            )
        """
    )
    op.create_check_constraint(
        op.f("ck_gates_open_until_it_lapses"),
        "gates",
        "(open_consent_id IS NULL) = (open_until IS NULL)",
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("ck_gates_ended_by_an_entry"), "gates", "ended_epoch <= epoch", schema=SCHEMA
    )
    op.create_index(
        "ix_gates_open_until",
        "gates",
        ["open_until", "user_id", "consent_type"],
        schema=SCHEMA,
        postgresql_where=sa.text("open_until IS NOT NULL"),
    )


def _leave_position_and_time_to_the_database() -> None:
    op.alter_column("entries", "occurred_at", server_default=sa.text("clock_timestamp()"), schema=SCHEMA)
    op.execute("REVOKE INSERT ON consent.entries FROM consent_app")
    op.execute(f"GRANT INSERT ({WRITTEN_BY_THE_SERVICE}) ON consent.entries TO consent_app")
    op.execute("REVOKE ALL ON SEQUENCE consent.entries_position_seq FROM consent_app")


def _blank_only_who_is_being_erased() -> None:
    # The function runs with its owner's rights, so nothing a caller controls may decide what its names mean.
    op.execute(
        """
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
                ip_address = NULL, salt = NULL
            WHERE user_id = person;
            GET DIAGNOSTICS blanked = ROW_COUNT;
            RETURN blanked;
        END
        $$
        """
    )


def _leave_position_and_time_to_the_service() -> None:
    op.alter_column("entries", "occurred_at", server_default=None, schema=SCHEMA)
    op.execute("REVOKE INSERT ON consent.entries FROM consent_app")
    op.execute("GRANT INSERT ON consent.entries TO consent_app")
    op.execute("GRANT USAGE, SELECT ON SEQUENCE consent.entries_position_seq TO consent_app")


def _blank_whoever_is_named() -> None:
    op.execute(
        """
        CREATE OR REPLACE FUNCTION consent.erase_person(person uuid) RETURNS bigint
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
