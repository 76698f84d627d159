"""Keep the time of each step of an erasure, and let no step be taken back."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"
NEW = ("erasing_at", "verifying_at")
STEPS = (*NEW, "overdue_at", "completed_at")
ORDER = "erasing_at >= requested_at AND verifying_at >= erasing_at AND completed_at >= verifying_at"


def upgrade() -> None:
    """Apply the change."""
    for name in NEW:
        op.add_column("erasures", sa.Column(name, sa.DateTime(timezone=True), nullable=True), schema=SCHEMA)
    # What an earlier release wrote has no time of these steps, and keeps the check all the same.
    op.create_check_constraint(op.f("ck_erasures_steps_in_order"), "erasures", ORDER, schema=SCHEMA)
    # A trigger, because a check sees only what a row becomes.
    op.execute(
        """
        CREATE FUNCTION identity.refuse_step_back() RETURNS trigger
        LANGUAGE plpgsql
        AS $$
        BEGIN
            RAISE EXCEPTION 'a step of an erasure can not be taken back' USING ERRCODE = 'check_violation';
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION identity.refuse_step_back() FROM PUBLIC")
    taken_back = " OR ".join(
        f"(OLD.{step} IS NOT NULL AND NEW.{step} IS DISTINCT FROM OLD.{step})"
        for step in ("requested_at", *STEPS)
    )
    op.execute(
        "CREATE TRIGGER steps_go_forward BEFORE UPDATE ON identity.erasures"
        f" FOR EACH ROW WHEN ({taken_back}) EXECUTE FUNCTION identity.refuse_step_back()"
    )
    for table in ("erasures", "erasure_participants"):
        op.execute(f"REVOKE DELETE, TRUNCATE ON identity.{table} FROM identity_app")


def downgrade() -> None:
    """Take the change back; destroys when erasures began and were first verified."""
    for table in ("erasures", "erasure_participants"):
        op.execute(f"GRANT DELETE ON identity.{table} TO identity_app")
    op.execute("DROP TRIGGER steps_go_forward ON identity.erasures")
    op.execute("DROP FUNCTION identity.refuse_step_back()")
    op.drop_constraint(op.f("ck_erasures_steps_in_order"), "erasures", schema=SCHEMA)
    for name in NEW:
        op.drop_column("erasures", name, schema=SCHEMA)
