"""Create mails and their tokens."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "mail_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("new_address", sa.String(length=320), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity.users.id"], name=op.f("fk_mail_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_mail_tokens")),
        schema="identity",
        info={"on_erase": "delete"},
    )
    op.create_index(
        op.f("ix_mail_tokens_expires_at"), "mail_tokens", ["expires_at"], unique=False, schema="identity"
    )
    op.create_index(
        op.f("ix_mail_tokens_user_id"), "mail_tokens", ["user_id"], unique=False, schema="identity"
    )
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("new_address", sa.String(length=320), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity.users.id"], name=op.f("fk_mails_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        schema="identity",
        info={"on_erase": "delete"},
    )
    op.create_index(
        "ix_mails_unsent",
        "mails",
        ["requested_at"],
        unique=False,
        schema="identity",
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_index(op.f("ix_mails_user_id"), "mails", ["user_id"], unique=False, schema="identity")
    op.add_column(
        "sessions", sa.Column("user_agent", sa.String(length=200), nullable=True), schema="identity"
    )
    op.add_column("sessions", sa.Column("ip_prefix", sa.String(length=50), nullable=True), schema="identity")


def downgrade() -> None:
    """Take the change back; destroys mails that wait, links that were mailed, and what names a device."""
    for column in ("ip_prefix", "user_agent"):
        op.drop_column("sessions", column, schema="identity")
    op.drop_table("mails", schema="identity")
    op.drop_table("mail_tokens", schema="identity")
