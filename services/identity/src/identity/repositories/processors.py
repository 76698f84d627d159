"""Every query about requests to processors outside of the platform."""

from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, func, update

from chassis import scripts
from chassis.repository import Repository
from identity.models import ProcessorRequest
from identity.repositories.erasures import OpenErasure

PROCESSOR_REQUESTS = cast("Table", ProcessorRequest.__table__)
UNSETTLED_REQUESTS = PROCESSOR_REQUESTS.c.settled_at.is_(None)


def new_processor_request(processor: str, erasure: OpenErasure) -> str:
    """Return the script that has a processor asked to erase a person."""
    row = {
        "erasure_id": erasure.id,
        "processor": processor,
        "user_id": erasure.user_id,
        "requested_at": erasure.requested_at,
        "deadline": erasure.deadline,
    }
    return scripts.insert_row(PROCESSOR_REQUESTS, row)


class ProcessorRequests(Repository):
    """Who was asked to erase whom, and has not reported."""

    async def make_due(self, erasure_id: UUID) -> None:
        """Have every processor of an erasure asked again now."""
        statement = update(PROCESSOR_REQUESTS).where(
            UNSETTLED_REQUESTS, PROCESSOR_REQUESTS.c.erasure_id == erasure_id
        )
        await self._session.execute(statement.values(next_attempt_at=func.clock_timestamp()))

    async def give_up(self, processor: str, *, now: datetime) -> None:
        """Ask a processor nothing more; whoever holds a lease on one of its rows settles nothing."""
        statement = update(PROCESSOR_REQUESTS).where(
            UNSETTLED_REQUESTS, PROCESSOR_REQUESTS.c.processor == processor
        )
        await self._session.execute(
            statement.values(settled_at=now, user_id=None, lease_token=None, lease_until=None)
        )
