"""What storage does when it hears of something."""

from chassis.consumer import Consumer
from chassis.db import UnitOfWork
from chassis.erasure import ErasureParticipation, OpenErasure
from contracts.consent import ConsentGranted, ConsentWithdrawn
from contracts.envelope import Envelope
from contracts.fields import ConsentType
from contracts.identity import UserDeleted, UserRegistered
from storage.use_cases.follow_consent import follow_grant, follow_withdrawal
from storage.use_cases.open_key import open_key
from storage.wiring import Service


def consumers(service: Service, participation: ErasureParticipation) -> list[Consumer]:
    """Return storage's queues and their handlers."""

    async def on_user_deleted(uow: UnitOfWork, envelope: Envelope[UserDeleted]) -> None:
        event = envelope.data
        await participation.accept(
            uow,
            OpenErasure(
                erasure_id=event.erasure_id,
                user_id=event.user_id,
                requested_at=event.requested_at,
                deadline=event.deadline,
            ),
        )

    async def on_user_registered(uow: UnitOfWork, envelope: Envelope[UserRegistered]) -> None:
        await open_key(uow, service.vault, user_id=envelope.data.user_id)

    async def on_consent_granted(uow: UnitOfWork, envelope: Envelope[ConsentGranted]) -> None:
        event = envelope.data
        # Photos rest on this one purpose; what else a person agrees to is not kept here.
        if event.consent_type is ConsentType.BIOMETRIC_CAPTURE:
            await follow_grant(
                uow,
                user_id=event.user_id,
                consent_id=event.consent_id,
                epoch=event.epoch,
                now=service.clock.now(),
            )

    async def on_consent_withdrawn(uow: UnitOfWork, envelope: Envelope[ConsentWithdrawn]) -> None:
        event = envelope.data
        if event.consent_type is ConsentType.BIOMETRIC_CAPTURE:
            await follow_withdrawal(uow, user_id=event.user_id, epoch=event.epoch, now=service.clock.now())

    return [
        Consumer("storage.erase-user", {UserDeleted: on_user_deleted}),
        Consumer("storage.open-keys", {UserRegistered: on_user_registered}),
        Consumer(
            "storage.follow-consent",
            {ConsentGranted: on_consent_granted, ConsentWithdrawn: on_consent_withdrawn},
        ),
    ]
