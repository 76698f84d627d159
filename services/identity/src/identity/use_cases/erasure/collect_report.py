"""Record what a participant has erased; the last report completes the erasure and signs its certificate."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.identity import ErasureCompleted, ErasurePartial, PartialErasure, ParticipantErasure
from contracts.participation import ErasureReported
from identity.erasure.certificate import CertificateIssuer
from identity.erasure.policy import Report
from identity.repositories import Completion, ErasureReports
from identity.use_cases.erasure.certify_erasure import certify_erasure


async def collect_report(
    uow: UnitOfWork, report: ErasureReported, *, certificates: CertificateIssuer
) -> None:
    """Record the report; on the last one empty the person's id, sign, and announce the completion.

    A report for an erasure that is unknown or complete changes nothing, nor does one that was made under
    other holds than those in force.
    """
    said = Report(
        report.service,
        report.completed_at,
        dict(report.erased),
        report.digest,
        list(report.regimes),
        list(report.key_providers),
        dict(report.held),
    )
    complete = await ErasureReports(uow.session).record(
        report.erasure_id,
        said,
        holds_version=report.holds_version,
        deadline=report.deadline,
        now=uow.now(),
    )
    if complete is not None:
        await announce_outcome(uow, report.erasure_id, complete, certificates=certificates)


async def announce_outcome(
    uow: UnitOfWork, erasure_id: UUID, complete: Completion, *, certificates: CertificateIssuer
) -> None:
    """Sign the certificate of an erasure that is complete now, or is but for what is held, and say so."""
    signed = await certify_erasure(uow, erasure_id, complete, certificates=certificates)
    if complete.completed_at is not None:
        uow.publish(
            ErasureCompleted(
                erasure_id=erasure_id,
                requested_at=complete.requested_at,
                completed_at=complete.completed_at,
                participants=tuple(
                    ParticipantErasure(service=it.service, completed_at=it.completed_at, erased=it.erased)
                    for it in complete.reports
                ),
                certificate_digest=signed.digest,
                without_retired=tuple(it.service for it in complete.retired),
            )
        )
    elif complete.held_since is not None:
        uow.publish(
            ErasurePartial(
                erasure_id=erasure_id,
                requested_at=complete.requested_at,
                partial_at=complete.held_since,
                participants=tuple(
                    PartialErasure(
                        service=it.service,
                        completed_at=it.completed_at,
                        erased=it.erased,
                        held=it.held or {} or {},
                    )
                    for it in complete.reports
                ),
                certificate_digest=signed.digest,
            )
        )
