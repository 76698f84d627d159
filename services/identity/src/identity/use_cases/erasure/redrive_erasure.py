"""Ask every participant of an erasure again now, in place of when its turn comes."""

from uuid import UUID

from chassis.db import UnitOfWork
from identity.repositories import PROCESSOR_REQUESTS, ErasureOverview, ProcessorRequests
from identity.use_cases.erasure.announce_erasure import announce_erasure


async def redrive_erasure(uow: UnitOfWork, *, erasure_id: UUID) -> bool:
    """Publish the deletion again; False for an erasure that is unknown or complete.

    Who has reported reports the same again, and the first report stands.
    """
    asked = await ErasureOverview(uow.session).ask_now(erasure_id, now=uow.now())
    if asked is None:
        return False
    await ProcessorRequests(uow.session).make_due(erasure_id)
    uow.wake(PROCESSOR_REQUESTS.name)
    announce_erasure(uow, asked)
    return True
