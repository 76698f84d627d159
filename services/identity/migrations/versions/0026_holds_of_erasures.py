"""Keep what must not be erased yet, why and until when, and since when only that keeps an erasure open."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis.schema_steps import add_holds_to_erasures, drop_holds_from_erasures

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"
STEPS = ("requested_at", "erasing_at", "verifying_at", "overdue_at", "completed_at")
MOMENTS = ("partial_at", "held_since", "resumed_at")


def upgrade() -> None:
    """Apply the change."""
    add_holds_to_erasures(SCHEMA)
    for name in MOMENTS:
        op.add_column("erasures", sa.Column(name, sa.DateTime(timezone=True)), schema=SCHEMA)
    op.add_column(
        "erasures",
        sa.Column("holds", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        schema=SCHEMA,
    )
    op.add_column(
        "erasures",
        sa.Column("holds_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("erasure_participants", sa.Column("held", postgresql.JSONB()), schema=SCHEMA)
    op.add_column("erasure_participants", sa.Column("held_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.create_check_constraint(
        op.f("ck_erasure_participants_held_until_completed"),
        "erasure_participants",
        "held_at IS NULL OR completed_at IS NULL",
        schema=SCHEMA,
    )
    _let_no_step_be_taken_back((*STEPS, "partial_at"))
    _create_holds()


def downgrade() -> None:
    """Take the change back; destroys the holds: what they keep is erased when it is worked on next."""
    op.drop_table("holds", schema=SCHEMA)
    _let_no_step_be_taken_back(STEPS)
    op.drop_constraint(
        op.f("ck_erasure_participants_held_until_completed"), "erasure_participants", schema=SCHEMA
    )
    op.drop_column("erasure_participants", "held_at", schema=SCHEMA)
    op.drop_column("erasure_participants", "held", schema=SCHEMA)
    for name in ("holds_version", "holds", *MOMENTS):
        op.drop_column("erasures", name, schema=SCHEMA)
    drop_holds_from_erasures(SCHEMA)


def _let_no_step_be_taken_back(steps: Sequence[str]) -> None:
    op.execute("DROP TRIGGER steps_go_forward ON identity.erasures")
    taken_back = " OR ".join(
        f"(OLD.{step} IS NOT NULL AND NEW.{step} IS DISTINCT FROM OLD.{step})" for step in steps
    )
    op.execute(
        "CREATE TRIGGER steps_go_forward BEFORE UPDATE ON identity.erasures"
        f" FOR EACH ROW WHEN ({taken_back}) EXECUTE FUNCTION identity.refuse_step_back()"
    )


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("erasure_id", sa.Uuid(), nullable=True),
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("record", sa.Uuid(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("legal_reference", sa.String(length=200), nullable=False),
        sa.Column("approver", sa.String(length=100), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.String(length=100), nullable=True),
        sa.Column("release_reason", sa.String(length=200), nullable=True),
        sa.CheckConstraint("expires_at > placed_at", name=op.f("ck_holds_has_an_end")),
        sa.CheckConstraint(
            "user_id IS NOT NULL OR ended_at IS NOT NULL", name=op.f("ck_holds_person_until_ended")
        ),
        sa.CheckConstraint(
            "num_nulls(released_by, release_reason) IN (0, 2)"
            " AND (released_by IS NULL OR ended_at IS NOT NULL)",
            name=op.f("ck_holds_released_with_a_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["identity.erasures.id"], name=op.f("fk_holds_erasure_id_erasures")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_holds_user_id",
        "holds",
        ["user_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_holds_erasure_id"), "holds", ["erasure_id"], schema=SCHEMA)
    op.create_index(
        "ix_holds_in_force",
        "holds",
        ["expires_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    # Why something was held stays as it was said; the service can end a hold and forget what it was about.
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON identity.holds FROM identity_app")
    op.execute(
        "GRANT UPDATE (user_id, erasure_id, record, ended_at, released_by, release_reason)"
        " ON identity.holds TO identity_app"
    )
