"""Every query about participants."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from identity.models import Participant


class Participants(Repository):
    """The services that answer for what they store."""

    async def register(self, *, service: str, handles: Sequence[str], version: str, now: datetime) -> None:
        """Remember the service, or what is new about it; one that was retired takes part again."""
        values = {
            "handles": list(handles),
            "version": version,
            "joined_at": now,
            "retired_at": None,
            "retired_reason": None,
        }
        await self._session.execute(
            insert(Participant)
            .values(service=service, **values)
            .on_conflict_do_update(index_elements=[Participant.service], set_=values)
        )

    async def of_erasures(self, known: Sequence[str]) -> list[str]:
        """Return who takes part in an erasure that is opened now, by name: `known`, and who announced it."""
        announced = await self._session.scalars(
            select(Participant.service).where(
                Participant.handles.contains(["erasure"]), Participant.retired_at.is_(None)
            )
        )
        return sorted({*known, *announced})

    async def retire(self, service: str, *, reason: str, now: datetime) -> bool:
        """Wait for the service in no later erasure; False when no service has announced itself so."""
        statement = (
            update(Participant)
            .where(Participant.service == service)
            .values(retired_at=now, retired_reason=reason)
            .returning(Participant.service)
        )
        return await self._session.scalar(statement) is not None
