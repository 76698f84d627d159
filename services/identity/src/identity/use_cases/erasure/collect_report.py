"""Record what a participant has erased; the last report completes the erasure."""

from chassis.db import UnitOfWork
from contracts.identity import ErasureCompleted, ParticipantErasure
from contracts.participation import ErasureReported
from identity.repositories import Erasures, Report


async def collect_report(uow: UnitOfWork, report: ErasureReported) -> None:
    """Record the report; on the last one empty the person's id and announce the completion.

    A report for an erasure that is unknown or complete changes nothing.
    """
    now = uow.now()
    said = Report(report.service, report.completed_at, dict(report.erased))
    complete = await Erasures(uow.session).record_report(
        report.erasure_id, said, digest=report.digest, now=now
    )
    if complete is None:
        return
    requested_at, reports = complete
    uow.publish(
        ErasureCompleted(
            erasure_id=report.erasure_id,
            requested_at=requested_at,
            completed_at=now,
            participants=tuple(ParticipantErasure(**one._asdict()) for one in reports),
        )
    )
