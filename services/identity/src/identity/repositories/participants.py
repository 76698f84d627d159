"""Every query about participants."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Participant


class Participants:
    """The services that answer for what they store."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def register(self, *, service: str, handles: Sequence[str], version: str, now: datetime) -> None:
        """Remember the service, or what is new about it."""
        values = {"handles": list(handles), "version": version, "joined_at": now}
        await self._session.execute(
            insert(Participant)
            .values(service=service, **values)
            .on_conflict_do_update(index_elements=[Participant.service], set_=values)
        )
