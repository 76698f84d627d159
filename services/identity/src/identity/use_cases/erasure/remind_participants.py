"""Ask silent participants again, and say so when a deadline has passed."""

from datetime import timedelta

from chassis.db import UnitOfWork
from contracts.identity import ErasureOverdue
from identity.repositories import Erasures
from identity.use_cases.erasure.announce_erasure import announce_erasure

BATCH = 100


async def remind_participants(uow: UnitOfWork, *, base_pause: timedelta) -> int:
    """Publish the deletion again for erasures that wait too long, at most `BATCH`; return for how many."""
    erasures, now = Erasures(uow.session), uow.now()
    for erasure_id, deadline, missing in await erasures.mark_overdue(now=now, limit=BATCH):
        uow.publish(
            ErasureOverdue(erasure_id=erasure_id, deadline=deadline, missing_participants=tuple(missing))
        )
    silent = await erasures.ask_again(now=now, base_pause=base_pause, limit=BATCH)
    for erasure in silent:
        announce_erasure(uow, erasure)
    return len(silent)
