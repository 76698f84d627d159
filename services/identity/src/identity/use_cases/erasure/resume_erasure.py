"""Go on with an erasure whose holds have changed: who has the things is asked again, and processors are."""

from uuid import UUID

from chassis.db import UnitOfWork
from identity.account_rules import AccountRules
from identity.repositories import ErasureReports, ProcessorRequests
from identity.use_cases.erasure.announce_erasure import announce_erasure


async def resume_erasure(uow: UnitOfWork, erasure_id: UUID, *, service: str, rules: AccountRules) -> None:
    """Forget what the service said to be held, and tell it what is held now; nothing for one that is over.

    What was held by law could not be erased by the day that was promised: the strictest term of all counts
    anew from here.
    """
    now = uow.now()
    resumed = await ErasureReports(uow.session).resume(
        erasure_id, service, now=now, deadline=now + rules.erasure
    )
    if resumed is not None:
        await ProcessorRequests(uow.session).make_due(erasure_id)
        announce_erasure(uow, resumed)
