"""Empty the folders whose destruction was ordered, however often the store has to be asked."""

import asyncio
from uuid import UUID, uuid4

import structlog

from chassis.db import Database
from chassis.faults import is_transient
from chassis.problems import describe
from contracts.fields import PhotoDeletionReason
from contracts.storage import PhotoDeleted
from storage.models import Destruction
from storage.repositories import Destructions
from storage.vault import Vault

AT_ONCE = 4
# A batch of 20, four at once, ends within the lease of a minute even when every folder takes this long.
FOLDER_SECONDS = 10.0

log = structlog.get_logger(__name__)


async def destroy_due(
    database: Database, vault: Vault, *, only: UUID | None = None, folder_seconds: float = FOLDER_SECONDS
) -> int:
    """Do the destructions that are due, or only one, and announce each photo; return how many succeeded."""
    token = uuid4()
    async with database.unit_of_work() as uow:
        claimed = await Destructions(uow.session).claim(token, only=only)
    places = asyncio.Semaphore(AT_ONCE)

    async def attempt(work: Destruction) -> bool:
        async with places:
            return await _attempt(database, vault, work, token, folder_seconds)

    return sum(await asyncio.gather(*(attempt(work) for work in claimed)))


async def _attempt(
    database: Database, vault: Vault, work: Destruction, token: UUID, folder_seconds: float
) -> bool:
    try:
        async with asyncio.timeout(folder_seconds):
            await vault.empty(work.prefix)
    except Exception as error:  # noqa: BLE001 - whatever it is, the folder is tried again
        report = log.warning if is_transient(error) else log.error
        report("destruction_postponed", attempts=work.attempts, error=describe(error))
        async with database.unit_of_work() as uow:
            await Destructions(uow.session).postpone(work, token, error=describe(error))
        return False
    async with database.unit_of_work() as uow:
        finished = await Destructions(uow.session).finish(work, token)
        if finished and work.user_id and work.photo_id and work.reason:
            reason = PhotoDeletionReason(work.reason)
            uow.publish(PhotoDeleted(user_id=work.user_id, photo_id=work.photo_id, reason=reason))
    return True
