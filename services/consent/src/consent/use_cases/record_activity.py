"""Remember the last day on which somebody was here, from which retention is counted."""

from datetime import date
from uuid import UUID

from chassis.db import UnitOfWork
from consent.repositories.activities import Activities


async def record_activity(uow: UnitOfWork, *, user_id: UUID, day: date) -> None:
    """Record that day; an earlier one, or somebody who never agreed to anything, changes nothing.

    Raises `PersonErased` for someone whose erasure has begun.
    """
    await uow.lock_subject(user_id)
    await Activities(uow.session).record(user_id, day)
