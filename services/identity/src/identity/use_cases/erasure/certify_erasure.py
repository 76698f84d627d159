"""Sign the certificate of an erasure, in the transaction that completes it."""

from uuid import UUID

from chassis.db import UnitOfWork
from identity.erasure.certificate import CertificateIssuer, SignedCertificate, VerifiedErasure
from identity.erasure.policy import Step, steps_in_order
from identity.repositories import Completion, keep_certificate


def certify_erasure(
    uow: UnitOfWork, erasure_id: UUID, complete: Completion, *, certificates: CertificateIssuer
) -> SignedCertificate:
    """Sign what every participant has verified; it is kept with the commit.

    Raises `KeysNotLoaded`, and then nothing is completed.
    """
    erasure = VerifiedErasure(
        erasure_id=erasure_id,
        user_id=complete.user_id,
        deadline=complete.deadline,
        completed_at=complete.completed_at,
        steps=steps_in_order(
            (
                (Step.REQUESTED, complete.requested_at),
                (Step.GRACE, complete.requested_at if complete.grace_until else None),
                (Step.ERASING, complete.erasing_at),
                (Step.VERIFYING, complete.verifying_at),
                (Step.OVERDUE, complete.overdue_at),
                (Step.COMPLETED, complete.completed_at),
            )
        ),
        reports=complete.reports,
        retired=complete.retired,
    )
    now = uow.now()
    signed = certificates.issue(erasure, now=now)
    uow.before_commit += keep_certificate(
        erasure_id, digest=signed.digest, token=signed.token, public_jwk=signed.public_jwk, issued_at=now
    )
    return signed
