"""Wait no longer for a service that is gone; who is erased without it can see that, and why."""

from chassis.db import Database, UnitOfWork
from identity.erasure.certificate import CertificateIssuer
from identity.erasure.policy import Retirement
from identity.repositories import ErasureReports, Participants, ProcessorRequests
from identity.use_cases.erasure.collect_report import announce_outcome

BATCH = 50


async def retire_participant(
    database: Database, service: str, *, reason: str, certificates: CertificateIssuer, batch: int = BATCH
) -> int | None:
    """Retire a service, or a processor that is none of ours any more.

    Returns how many open erasures go on without it, None for one that never took part.

    An erasure that waited for nobody else is complete with that. So many erasures are locked at a time as
    `batch` says; whoever is interrupted repeats the command, which goes on. A service that announces itself
    again takes part again.
    """
    retirement = Retirement(service, database.clock.now(), reason)
    async with database.unit_of_work() as uow:
        # First of all, so that no erasure which is opened meanwhile waits for it.
        known = await Participants(uow.session).retire(service, reason=reason, now=retirement.retired_at)
        await ProcessorRequests(uow.session).give_up(service, now=retirement.retired_at)
    without = 0
    while True:
        async with database.unit_of_work() as uow:
            retired = await _retire_some(uow, retirement, certificates=certificates, limit=batch)
        without += retired
        if retired < batch:
            return without if known or without else None


async def _retire_some(
    uow: UnitOfWork, retirement: Retirement, *, certificates: CertificateIssuer, limit: int
) -> int:
    reports = ErasureReports(uow.session)
    waiting = await reports.waiting_for(retirement.service, limit=limit)
    for erasure_id in waiting:
        complete = await reports.retire(erasure_id, retirement, now=uow.now())
        if complete is not None:
            await announce_outcome(uow, erasure_id, complete, certificates=certificates)
    return len(waiting)
