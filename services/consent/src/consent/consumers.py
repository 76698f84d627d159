"""What consent does when it hears of something."""

from chassis.db import UnitOfWork
from chassis.handling import Consumer
from consent.use_cases.anchor_digest import ERASURE_CERTIFICATE, anchor_digest
from consent.use_cases.end_biometric_consent import end_biometric_consent
from consent.use_cases.record_activity import record_activity
from contracts.envelope import Envelope
from contracts.identity import ErasureCompleted, ErasurePartial, UserActive, UserFrozen


def consumers() -> list[Consumer]:
    """Return consent's queues and their handlers."""

    async def on_erasure_completed(uow: UnitOfWork, envelope: Envelope[ErasureCompleted]) -> None:
        if (digest := envelope.data.certificate_digest) is not None:
            await anchor_digest(uow, digest, ERASURE_CERTIFICATE)

    async def on_erasure_partial(uow: UnitOfWork, envelope: Envelope[ErasurePartial]) -> None:
        await anchor_digest(uow, envelope.data.certificate_digest, ERASURE_CERTIFICATE)

    async def on_user_frozen(uow: UnitOfWork, envelope: Envelope[UserFrozen]) -> None:
        await end_biometric_consent(uow, user_id=envelope.data.user_id)

    async def on_user_active(uow: UnitOfWork, envelope: Envelope[UserActive]) -> None:
        await record_activity(uow, user_id=envelope.data.user_id, day=envelope.data.active_on)

    return [
        Consumer(
            "consent.anchor-certificates",
            {ErasureCompleted: on_erasure_completed, ErasurePartial: on_erasure_partial},
        ),
        Consumer("consent.end-biometrics", {UserFrozen: on_user_frozen}),
        Consumer("consent.record-activity", {UserActive: on_user_active}),
    ]
