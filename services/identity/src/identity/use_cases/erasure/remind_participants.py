"""Ask silent participants again, and say so when a deadline has passed."""

from datetime import datetime, timedelta

from chassis.db import UnitOfWork
from contracts.identity import ErasureOverdue, UserDeleted
from identity.erasure.policy import reminder_pause
from identity.models import Erasure
from identity.repositories import Erasures

BATCH = 100


async def remind_participants(uow: UnitOfWork, *, now: datetime, base_pause: timedelta) -> int:
    """Publish the deletion again for erasures that wait too long; return how many were asked again."""
    erasures = Erasures(uow.session)
    reminded = 0
    for erasure in await erasures.lock_silent(now=now, shortest_pause=base_pause, limit=BATCH):
        if erasure.overdue_at is None and erasure.deadline <= now:
            await _announce_overdue(uow, erasures, erasure, now)
        if now - erasure.asked_at >= reminder_pause(erasure.times_asked, base_pause):
            _ask_again(uow, erasure, now)
            reminded += 1
    return reminded


def _ask_again(uow: UnitOfWork, erasure: Erasure, now: datetime) -> None:
    if erasure.user_id is None:
        return
    erasure.asked_at, erasure.times_asked = now, erasure.times_asked + 1
    uow.publish(
        UserDeleted(
            user_id=erasure.user_id,
            erasure_id=erasure.id,
            requested_at=erasure.requested_at,
            deadline=erasure.deadline,
        )
    )


async def _announce_overdue(uow: UnitOfWork, erasures: Erasures, erasure: Erasure, now: datetime) -> None:
    missing = tuple(
        part.service for part in await erasures.participants(erasure.id) if part.completed_at is None
    )
    if missing:
        erasure.overdue_at = now
        uow.publish(
            ErasureOverdue(erasure_id=erasure.id, deadline=erasure.deadline, missing_participants=missing)
        )
