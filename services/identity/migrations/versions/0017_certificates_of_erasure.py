"""Keep signed certificates of erasures, and the public keys that have signed any."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "identity"
TABLES = ("erasure_certificates", "certificate_keys")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "certificate_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("first_signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_certificate_keys")),
        schema=SCHEMA,
    )
    op.create_table(
        "erasure_certificates",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["identity.erasures.id"], name=op.f("fk_erasure_certificates_erasure_id_erasures")
        ),
        sa.ForeignKeyConstraint(
            ["kid"],
            ["identity.certificate_keys.kid"],
            name=op.f("fk_erasure_certificates_kid_certificate_keys"),
        ),
        sa.PrimaryKeyConstraint("erasure_id", "digest", name=op.f("pk_erasure_certificates")),
        schema=SCHEMA,
    )
    for table in TABLES:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON identity.{table} FROM identity_app")


def downgrade() -> None:
    """Take the change back; destroys the certificates, and which keys have signed them."""
    for table in TABLES:
        op.drop_table(table, schema=SCHEMA)
