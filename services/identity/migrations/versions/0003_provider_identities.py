"""Create provider identities, Apple's grants and spent tokens."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "provider_identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("private_relay", sa.Boolean(), nullable=False),
        sa.Column("mail_disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asserted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity.users.id"],
            name=op.f("fk_provider_identities_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_provider_identities_issuer_subject")),
        schema="identity",
        info={"on_erase": "delete"},
    )
    op.create_index(
        op.f("ix_provider_identities_user_id"),
        "provider_identities",
        ["user_id"],
        unique=False,
        schema="identity",
    )
    op.create_table(
        "apple_grants",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("sealed_token", sa.LargeBinary(), nullable=False),
        sa.Column("obtained_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity.users.id"], name=op.f("fk_apple_grants_user_id_users")
        ),
        sa.PrimaryKeyConstraint("user_id", "client_id", name=op.f("pk_apple_grants")),
        schema="identity",
        info={"on_erase": "delete, after it was revoked at Apple"},
    )
    op.create_table(
        "spent_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_tokens")),
        schema="identity",
        info={"on_erase": "retain: a digest of a random value, until its token has expired"},
    )
    op.create_index(
        op.f("ix_spent_tokens_expires_at"), "spent_tokens", ["expires_at"], unique=False, schema="identity"
    )


def downgrade() -> None:
    """Take the change back; destroys the links with providers, and Apple's grants without revoking them."""
    for table in ("spent_tokens", "apple_grants", "provider_identities"):
        op.drop_table(table, schema="identity")
