"""Say that erasures are open for longer than they take."""

import structlog

from chassis.db import Database
from identity.erasure.policy import ALARM_AFTER, GOAL
from identity.repositories import Erasures, OldestOpen

log = structlog.get_logger(__name__)


async def late_erasures(database: Database) -> OldestOpen | None:
    """Return the erasures that are open for longer than `ALARM_AFTER`; None for none."""
    before = database.clock.now() - ALARM_AFTER
    async with database.read_only() as session:
        return await Erasures(session).open_since(before)


async def tell_late_erasures(database: Database) -> str | None:
    """Say how many there are, and for how long the oldest has been; None for none."""
    late = await late_erasures(database)
    if late is None:
        return None
    hours = _hours_open(database, late)
    return f"{late.number} open for more than an hour, the oldest for {hours:.1f} h"


async def alarm_of_late_erasures(database: Database) -> None:
    """Log them: as an error within the goal, as critical past it."""
    late = await late_erasures(database)
    if late is None:
        return
    hours, goal = _hours_open(database, late), GOAL.total_seconds() / 3600
    raised = log.critical if hours > goal else log.error
    raised("erasures_open_too_long", erasures=late.number, oldest_hours=round(hours, 1), goal_hours=goal)


def _hours_open(database: Database, late: OldestOpen) -> float:
    return (database.clock.now() - late.since).total_seconds() / 3600
