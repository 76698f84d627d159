"""The inbox: an event acts once per consumer, however often it is delivered."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from chassis import scripts
from chassis.db import Database, UnitOfWork

KEEP_DAYS = 30
PURGE_BATCH = 1000


async def first_deliveries(uow: UnitOfWork, *, consumer: str, event_ids: Sequence[UUID]) -> int:
    """Record that `consumer` handles these events in this transaction; return how many are new to it.

    A racing duplicate waits here until the other transaction ends, and then sees its row or takes its place.
    """
    script = scripts.record_deliveries(uow.tables.inbox, consumer, event_ids)
    return int((await uow.statements.run(script, purpose="record deliveries")).split()[-1])


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
    """Forget events handled, and failures counted, more than 30 days ago; return how many records."""
    inbox, failures = database.tables.inbox, database.tables.failed_attempts
    keep = timedelta(days=KEEP_DAYS)
    handled = await purge_older(database, inbox.c.received_at, keep=keep)
    return handled + await purge_older(database, failures.c.last_failed_at, keep=keep)


async def purge_older(database: Database, since: Column[datetime], *, keep: timedelta) -> int:
    """Delete the rows whose time `since` is longer ago than `keep`; return how many."""
    # A thousand per transaction, so that no lock is held for long.
    table = since.table
    old = since < func.clock_timestamp() - keep
    ctid: ColumnElement[Any] = literal_column("ctid")
    statement = delete(table).where(ctid.in_(select(ctid).select_from(table).where(old).limit(PURGE_BATCH)))
    purged = 0
    while True:
        async with database.unit_of_work() as uow:
            found = len((await uow.session.execute(statement.returning(ctid))).all())
        purged += found
        if found < PURGE_BATCH:
            return purged
