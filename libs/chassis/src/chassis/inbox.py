"""The inbox: an event acts once per consumer, however often it is delivered."""

from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Database, UnitOfWork

KEEP_DAYS = 30
PURGE_BATCH = 1000


async def first_delivery(uow: UnitOfWork, *, consumer: str, event_id: UUID) -> bool:
    """Record that `consumer` handles `event_id` in this transaction; False when it has done so before.

    A racing duplicate waits here until the other transaction ends, and then sees its row or takes its place.
    """
    statement = (
        insert(uow.tables.inbox)
        .values(consumer=consumer, event_id=event_id)
        .on_conflict_do_nothing()
        .returning(uow.tables.inbox.c.event_id)
    )
    return await uow.session.scalar(statement) is not None


async def count_failure(uow: UnitOfWork, *, consumer: str, event_id: UUID) -> int:
    """Count one failed attempt of ours and return how many there were.

    The broker's own counter is no measure: it also counts lost connections, and differs between versions.
    """
    attempts = uow.tables.failed_attempts
    statement = (
        insert(attempts)
        .values(consumer=consumer, event_id=event_id, attempts=1)
        .on_conflict_do_update(
            index_elements=[attempts.c.consumer, attempts.c.event_id],
            set_={"attempts": attempts.c.attempts + 1, "last_failed_at": func.clock_timestamp()},
        )
        .returning(attempts.c.attempts)
    )
    return int(await uow.session.scalar(statement) or 0)


async def purge_old_records(database: Database) -> int:
    """Forget events handled more than 30 days ago, a thousand per transaction; return how many."""
    statement = text(
        f'DELETE FROM "{database.schema}".inbox WHERE ctid IN ('  # noqa: S608 - the schema is a constant
        f'SELECT ctid FROM "{database.schema}".inbox '
        "WHERE received_at < clock_timestamp() - make_interval(days => :days) LIMIT :batch) RETURNING 1"
    ).bindparams(days=KEEP_DAYS, batch=PURGE_BATCH)
    purged = 0
    while True:
        async with database.unit_of_work() as uow:
            found = len((await uow.session.execute(statement)).all())
        purged += found
        if found < PURGE_BATCH:
            return purged
