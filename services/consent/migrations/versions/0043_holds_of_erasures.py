"""Let a task of an erasure keep what must not be erased yet, and blank all entries but those."""

from collections.abc import Sequence

from alembic import op

from chassis.schema_steps import add_holds_to_erasures, drop_holds_from_erasures

revision: str = "0043"
down_revision: str | None = "0042"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"


def upgrade() -> None:
    """Apply the change."""
    add_holds_to_erasures(SCHEMA)
    # The function runs with its owner's rights, so nothing a caller controls may decide what its names mean.
    op.execute(
        """
        CREATE FUNCTION consent.erase_person_but(person uuid, held uuid[]) RETURNS bigint
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
                residence = NULL, ip_address = NULL, salt = NULL
            WHERE user_id = person AND consent_id <> ALL (held);
            GET DIAGNOSTICS blanked = ROW_COUNT;
            RETURN blanked;
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION consent.erase_person_but(uuid, uuid[]) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION consent.erase_person_but(uuid, uuid[]) TO consent_app")


def downgrade() -> None:
    """Take the change back; what is held is blanked when its task is worked on next."""
    op.execute("DROP FUNCTION consent.erase_person_but(uuid, uuid[])")
    drop_holds_from_erasures(SCHEMA)
