"""Whether a schema is the one that it was: what was known of it ends with a restore.

Its server's start and the file of one of its tables change when it is restored, from whatever it is restored
and by whatever means, so a schema in which another incarnation is noted is taken for a restored one.
"""

from sqlalchemy import ColumnElement, String, literal_column, select

from chassis.db import Database


def incarnation_sql(table: str) -> str:
    """Return the expression of the incarnation of the schema of `table`: at most 100 characters."""
    began = "extract(epoch FROM pg_postmaster_start_time())"
    return f"concat_ws('/', {began}, pg_relation_filenode('{table}'))"


def incarnation_of(database: Database) -> ColumnElement[str]:
    """Return the expression of the schema's incarnation."""
    return literal_column(incarnation_sql(database.tables.journal_head.fullname), String)


async def is_current(database: Database) -> bool:
    """Return whether the schema is known to have absorbed the erasure journal, in one round trip."""
    head = database.tables.journal_head
    async with database.read_only() as session:
        return bool(await session.scalar(select(head.c.incarnation == incarnation_of(database))))
