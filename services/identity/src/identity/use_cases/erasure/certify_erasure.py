"""Sign the certificate of an erasure, in the transaction that completes it or leaves only what is held."""

from uuid import UUID

from chassis.db import UnitOfWork
from identity.erasure.certificate import CertificateIssuer, SignedCertificate, VerifiedErasure
from identity.erasure.policy import Step, steps_in_order
from identity.repositories import Certificates, Completion, keep_certificate


async def certify_erasure(
    uow: UnitOfWork, erasure_id: UUID, complete: Completion, *, certificates: CertificateIssuer
) -> SignedCertificate:
    """Sign what every participant has verified; it is kept with the commit.

    One that was partial before has a certificate already, which the new one supersedes. Raises
    `KeysNotLoaded`, and then nothing is completed.
    """
    was_partial = complete.partial_at is not None
    before = await Certificates(uow.session).newest(erasure_id) if was_partial else None
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
                (Step.PARTIAL, complete.partial_at),
                (Step.COMPLETED, complete.completed_at),
            )
        ),
        reports=complete.reports,
        retired=complete.retired,
        holds=complete.holds,
        partial_at=complete.held_since,
        supersedes=None if before is None else before.digest,
    )
    now = uow.now()
    signed = certificates.issue(erasure, now=now)
    uow.before_commit += keep_certificate(
        erasure_id, digest=signed.digest, token=signed.token, public_jwk=signed.public_jwk, issued_at=now
    )
    return signed
