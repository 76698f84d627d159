"""Put every entry of the ledger into a transparency log that only grows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "consent"
GROWING = ("log_anchors", "log_leaves", "log_nodes", "log_checkpoints", "log_cosignatures")


def upgrade() -> None:
    _create_sources()
    _create_tree()
    _create_checkpoints()
    for table in GROWING:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON consent.{table} FROM consent_app")
    op.execute("REVOKE INSERT ON consent.log_anchors FROM consent_app")
    op.execute("GRANT INSERT (kind, digest) ON consent.log_anchors TO consent_app")
    op.execute("REVOKE ALL ON SEQUENCE consent.log_anchors_position_seq FROM consent_app")
    _queue_what_is_written()


def downgrade() -> None:
    """Take the change back; destroys the log: published checkpoints can't be continued any more."""
    for table, trigger in (("entries", "queue_entry"), ("log_anchors", "queue_anchor")):
        op.execute(f"DROP TRIGGER {trigger} ON consent.{table}")
    op.execute("DROP FUNCTION consent.queue_for_log()")
    for table in (*GROWING, "log_queue"):
        op.drop_table(table, schema=SCHEMA)


def _create_sources() -> None:
    op.create_table(
        "log_anchors",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column(
            "anchored_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_log_anchors")),
        sa.UniqueConstraint("kind", "digest", name=op.f("uq_log_anchors_kind_digest")),
        schema=SCHEMA,
    )
    op.create_table(
        "log_queue",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "position", name=op.f("pk_log_queue")),
        schema=SCHEMA,
    )


def _create_tree() -> None:
    op.create_table(
        "log_leaves",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("source IN ('entry', 'anchor')", name=op.f("ck_log_leaves_source_is_known")),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_log_leaves")),
        sa.UniqueConstraint("source", "position", name=op.f("uq_log_leaves_source_position")),
        schema=SCHEMA,
    )
    op.create_table(
        "log_nodes",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("node_index", sa.BigInteger(), nullable=False),
        sa.Column("node_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "node_index", name=op.f("pk_log_nodes")),
        schema=SCHEMA,
    )


def _create_checkpoints() -> None:
    op.create_table(
        "log_checkpoints",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", name=op.f("pk_log_checkpoints")),
        schema=SCHEMA,
    )
    op.create_table(
        "log_cosignatures",
        sa.Column("tree_size", sa.BigInteger(), nullable=False),
        sa.Column("witness", sa.String(length=255), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", "witness", name=op.f("pk_log_cosignatures")),
        schema=SCHEMA,
    )


def _queue_what_is_written() -> None:
    # A trigger, so that an earlier release that still runs queues its entries as well.
    op.execute(
        """
        CREATE FUNCTION consent.queue_for_log() RETURNS trigger
        LANGUAGE plpgsql
        AS $$
        BEGIN
            INSERT INTO consent.log_queue (source, position) VALUES (TG_ARGV[0], NEW.position);
            RETURN NULL;
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION consent.queue_for_log() FROM PUBLIC")
    for table, trigger, source in (
        ("entries", "queue_entry", "entry"),
        ("log_anchors", "queue_anchor", "anchor"),
    ):
        op.execute(
            f"CREATE TRIGGER {trigger} AFTER INSERT ON consent.{table}"
            f" FOR EACH ROW EXECUTE FUNCTION consent.queue_for_log('{source}')"
        )
    op.execute("INSERT INTO consent.log_queue SELECT 'entry', position FROM consent.entries")
