"""Wait no longer for a service that is gone; who is erased without it can see that, and why."""

from chassis.db import UnitOfWork
from identity.erasure.certificate import CertificateIssuer
from identity.erasure.policy import Retirement
from identity.repositories import ErasureReports, Participants, ProcessorRequests
from identity.use_cases.erasure.collect_report import announce_completion


async def retire_participant(
    uow: UnitOfWork, service: str, *, reason: str, certificates: CertificateIssuer
) -> int | None:
    """Retire a service, or a processor that is none of ours any more.

    Returns how many open erasures go on without it, None for one that never took part.

    An erasure that waited for nobody else is complete with that. A service that announces itself again takes
    part again.
    """
    now = uow.now()
    joined = await Participants(uow.session).retire(service, reason=reason, now=now)
    reports = ErasureReports(uow.session)
    waiting = await reports.waiting_for(service)
    if not (joined or waiting):
        return None
    await ProcessorRequests(uow.session).give_up(service, now=now)
    for erasure_id in waiting:
        complete = await reports.retire(erasure_id, Retirement(service, now, reason), now=now)
        if complete is not None:
            announce_completion(uow, erasure_id, complete, certificates=certificates)
    return len(waiting)
