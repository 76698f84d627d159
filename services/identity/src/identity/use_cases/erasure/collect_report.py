"""Record what a participant has erased; the last report completes the erasure."""

from chassis.db import UnitOfWork
from contracts.identity import ErasureCompleted, ParticipantErasure
from contracts.participation import ErasureReported
from identity.repositories import ErasureReports, Report


async def collect_report(uow: UnitOfWork, report: ErasureReported) -> None:
    """Record the report; on the last one empty the person's id and announce the completion.

    A report for an erasure that is unknown or complete changes nothing.
    """
    now = uow.now()
    said = Report(report.service, report.completed_at, dict(report.erased))
    complete = await ErasureReports(uow.session).record(
        report.erasure_id, said, digest=report.digest, now=now
    )
    if complete is None:
        return
    uow.publish(
        ErasureCompleted(
            erasure_id=report.erasure_id,
            requested_at=complete.requested_at,
            completed_at=complete.completed_at,
            participants=tuple(ParticipantErasure(**one._asdict()) for one in complete.reports),
        )
    )
