"""What a request or a message may use; built once per process."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from chassis.clock import Clock
from chassis.db import Database, UnitOfWork
from chassis.service_auth import ServiceTokens
from consent.geography import Geography
from consent.rulebook import Rulebook
from consent.settings import ConsentSettings
from consent.use_cases.erase_person import count_person, erase_person


@dataclass(frozen=True)
class Service:
    """The parts of the consent service."""

    settings: ConsentSettings
    database: Database
    rulebook: Rulebook
    geography: Geography
    service_tokens: ServiceTokens
    clock: Clock

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open the transaction of one request or message."""
        return self.database.unit_of_work()


class ConsentParticipant:
    """What the consent service does in an erasure."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what leads to the person, by kind."""
        async with self._database.unit_of_work() as uow:
            return await count_person(uow, user_id=user_id)

    async def erase(self, user_id: UUID) -> None:
        """Destroy all of it."""
        async with self._database.unit_of_work() as uow:
            await erase_person(uow, user_id=user_id)
