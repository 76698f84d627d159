"""Record what a participant has erased; the last report completes the erasure and signs its certificate."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.identity import ErasureCompleted, ParticipantErasure
from contracts.participation import ErasureReported
from identity.erasure.certificate import CertificateIssuer
from identity.erasure.policy import Report
from identity.repositories import Completion, ErasureReports
from identity.use_cases.erasure.certify_erasure import certify_erasure


async def collect_report(
    uow: UnitOfWork, report: ErasureReported, *, certificates: CertificateIssuer
) -> None:
    """Record the report; on the last one empty the person's id, sign, and announce the completion.

    A report for an erasure that is unknown or complete changes nothing.
    """
    said = Report(
        report.service,
        report.completed_at,
        dict(report.erased),
        report.digest,
        list(report.regimes),
        list(report.key_providers),
    )
    complete = await ErasureReports(uow.session).record(report.erasure_id, said, now=uow.now())
    if complete is not None:
        announce_completion(uow, report.erasure_id, complete, certificates=certificates)


def announce_completion(
    uow: UnitOfWork, erasure_id: UUID, complete: Completion, *, certificates: CertificateIssuer
) -> None:
    """Sign the certificate of an erasure that is complete now, and say so."""
    signed = certify_erasure(uow, erasure_id, complete, certificates=certificates)
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
        )
    )
