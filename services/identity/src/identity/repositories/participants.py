"""Every query about participants."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from identity.models import Participant


class Participants(Repository):
    """The services that answer for what they store."""

    async def register(self, *, service: str, handles: Sequence[str], version: str, now: datetime) -> None:
        """Remember the service, or what is new about it."""
        values = {"handles": list(handles), "version": version, "joined_at": now}
        await self._session.execute(
            insert(Participant)
            .values(service=service, **values)
            .on_conflict_do_update(index_elements=[Participant.service], set_=values)
        )
