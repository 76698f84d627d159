"""Every query about erasures."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Erasure, ErasureParticipant


class Erasures:
    """Requests to be erased and what the participants said."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def open(self, erasure: Erasure, services: Sequence[str]) -> None:
        """Insert the erasure and a waiting row for each participant."""
        self._session.add(erasure)
        self._session.add_all(
            ErasureParticipant(erasure_id=erasure.id, service=service) for service in services
        )

    async def find(self, erasure_id: UUID) -> Erasure | None:
        """Return the erasure."""
        return await self._session.get(Erasure, erasure_id)

    async def lock(self, erasure_id: UUID) -> Erasure | None:
        """Return the erasure, locked until the transaction ends."""
        return await self._session.get(Erasure, erasure_id, with_for_update=True)

    async def participants(self, erasure_id: UUID) -> Sequence[ErasureParticipant]:
        """Return what each participant said, by name."""
        statement = (
            select(ErasureParticipant)
            .where(ErasureParticipant.erasure_id == erasure_id)
            .order_by(ErasureParticipant.service)
        )
        return (await self._session.scalars(statement)).all()

    async def record_report(
        self, erasure_id: UUID, *, service: str, completed_at: datetime, erased: dict[str, Any], digest: str
    ) -> None:
        """Record a participant's report; the first one stands."""
        values = {"completed_at": completed_at, "erased": erased, "digest": digest}
        await self._session.execute(
            insert(ErasureParticipant)
            .values(erasure_id=erasure_id, service=service, **values)
            .on_conflict_do_update(
                index_elements=[ErasureParticipant.erasure_id, ErasureParticipant.service],
                set_=values,
                where=ErasureParticipant.completed_at.is_(None),
            )
        )
        # Rows of this erasure that the session has loaded are read again after a change behind its back.
        self._session.expire_all()

    async def waiting_for(self, service: str, *, after: UUID | None, limit: int) -> Sequence[Erasure]:
        """Return open erasures that `service` has not reported, in order of their ids, after `after`."""
        reported = select(ErasureParticipant.erasure_id).where(
            ErasureParticipant.erasure_id == Erasure.id,
            ErasureParticipant.service == service,
            ErasureParticipant.completed_at.is_not(None),
        )
        statement = select(Erasure).where(Erasure.completed_at.is_(None), ~reported.exists())
        if after is not None:
            statement = statement.where(Erasure.id > after)
        return (await self._session.scalars(statement.order_by(Erasure.id).limit(limit))).all()

    async def lock_silent(self, *, now: datetime, shortest_pause: timedelta, limit: int) -> Sequence[Erasure]:
        """Return open erasures last asked about long enough ago, or whose deadline has passed unnoticed."""
        asked_long_ago = Erasure.asked_at <= now - shortest_pause
        newly_overdue = (Erasure.deadline <= now) & Erasure.overdue_at.is_(None)
        statement = (
            select(Erasure)
            .where(Erasure.completed_at.is_(None), asked_long_ago | newly_overdue)
            .order_by(Erasure.asked_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return (await self._session.scalars(statement)).all()
