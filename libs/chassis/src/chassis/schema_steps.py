"""Changes of the chassis' own tables, for the migrations of every service: one function each way."""

import sqlalchemy as sa
from alembic import op


def add_mandatory_to_outbox(schema: str) -> None:
    """Let a row of the outbox say whether its event must reach a queue; null in rows from before."""
    op.add_column("outbox", sa.Column("mandatory", sa.Boolean()), schema=schema)


def drop_mandatory_from_outbox(schema: str) -> None:
    """Take that back; relays of before decide by the type, as they always did."""
    op.drop_column("outbox", "mandatory", schema=schema)
