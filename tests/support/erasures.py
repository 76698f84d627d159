"""Erasures in tests that have no relay: as though the broker took every announcement at once."""

from sqlalchemy import func, update

from chassis.db import Database
from chassis.erasure import ErasureParticipation
from contracts.envelope import subject_of

TAKEN = "taken by the broker"
_PEOPLE = subject_of("%")


async def broker_takes_all(database: Database) -> int:
    """Let no outbox row be about anybody, as after the broker's confirm; the rows stay, to be looked at."""
    outbox = database.tables.outbox
    statement = update(outbox).where(outbox.c.subject.like(_PEOPLE)).values(subject=TAKEN)
    async with database.unit_of_work() as uow:
        return len((await uow.session.execute(statement.returning(outbox.c.position))).all())


async def work_on_erasures(participation: ErasureParticipation, database: Database) -> int:
    """Try the open erasures that are due once, and again when only an announcement was in the way.

    Returns how many there were.
    """
    await broker_takes_all(database)
    claimed = await participation.work_once()
    if await broker_takes_all(database):
        tasks = database.tables.erasure_tasks
        waiting = update(tasks).where(tasks.c.last_error.like("ErasureIncomplete%"))
        async with database.unit_of_work() as uow:
            await uow.session.execute(waiting.values(next_attempt_at=func.clock_timestamp()))
        await participation.work_once()
    return claimed
