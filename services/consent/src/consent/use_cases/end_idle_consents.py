"""End the consents of whom nobody has seen for as long as the law lets us keep what rests on them."""

from datetime import datetime

from chassis.clock import Clock
from chassis.db import Database
from chassis.subjects import lock_subjects
from consent.idle_periods import IdlePeriod, idle_periods
from consent.policy import EntryKind, utc_day
from consent.repositories import Ledger
from consent.repositories.activities import Activities, HeldIdle, Idle
from consent.requests import canonical_json
from consent.rulebook import Rulebook
from consent.use_cases.expire_consents import announce_expiry

BATCH = 200


async def end_idle_consents(database: Database, *, rulebook: Rulebook, clock: Clock) -> int:
    """Append an expiry for every consent whose period is over, batch by batch; return how many.

    What rested on them is destroyed as after any end of a consent. Whom somebody else holds at the moment is
    left to the next turn.
    """
    now = clock.now()
    periods = idle_periods(rulebook, utc_day(now))
    return sum([await _end_those_of(database, period, now) for period in periods])


async def _end_those_of(database: Database, period: IdlePeriod, now: datetime) -> int:
    ended, day = 0, utc_day(now)
    last: Idle | None = None
    while True:
        async with database.unit_of_work() as uow:
            activities = Activities(uow.session)
            idle = await activities.idle(period, by=day, after=last, limit=BATCH)
            free = await lock_subjects(uow, database, {it.user_id for it in idle})
            held = await activities.hold_idle([it for it in idle if it.user_id in free], period, by=day)
            if held:
                await Ledger(uow.session).append_ends(
                    EntryKind.EXPIRY,
                    [(it.gate, it.granted) for it in held],
                    details=[_reason(it, period) for it in held],
                )
            for it in held:
                announce_expiry(uow, it.gate, it.granted, at=now)
        ended += len(held)
        if len(idle) < BATCH:
            return ended
        last = idle[-1]


def _reason(held: HeldIdle, period: IdlePeriod) -> str:
    """Return the JSON that the entry keeps, and that goes with the person."""
    return canonical_json(
        {"reason": "retention", "days": period.days, "last_interaction": held.last.isoformat()}
    )
