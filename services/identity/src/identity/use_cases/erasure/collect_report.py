"""Record what a participant has erased; the last report completes the erasure."""

from datetime import datetime

from chassis.db import UnitOfWork
from contracts.identity import ErasureCompleted, ParticipantErasure
from contracts.participation import ErasureReported
from identity.repositories import Erasures


async def collect_report(uow: UnitOfWork, report: ErasureReported, *, now: datetime) -> None:
    """Record the report; on the last one empty the person's id and announce the completion.

    A report for an erasure that is unknown or complete changes nothing.
    """
    erasures = Erasures(uow.session)
    erasure = await erasures.lock(report.erasure_id)
    if erasure is None or erasure.completed_at is not None:
        return
    await erasures.record_report(
        report.erasure_id,
        service=report.service,
        completed_at=report.completed_at,
        erased=dict(report.erased),
        digest=report.digest,
    )
    participants = await erasures.participants(report.erasure_id)
    done = [
        ParticipantErasure(service=part.service, completed_at=part.completed_at, erased=part.erased or {})
        for part in participants
        if part.completed_at is not None
    ]
    if len(done) < len(participants):
        return
    await uow.session.refresh(erasure)
    erasure.completed_at, erasure.user_id = now, None
    uow.publish(
        ErasureCompleted(
            erasure_id=erasure.id,
            requested_at=erasure.requested_at,
            completed_at=now,
            participants=tuple(done),
        )
    )
