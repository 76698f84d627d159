"""What storage does when it hears of something."""

from chassis.clock import Clock
from chassis.consumer import Consumer, Handler
from chassis.db import UnitOfWork
from contracts.consent import ConsentExpired, ConsentGranted, ConsentWithdrawn
from contracts.envelope import Envelope, Event
from contracts.fields import ConsentType
from contracts.identity import UserRegistered
from storage.policy import ConsentState
from storage.use_cases.follow_consent import follow_consent
from storage.wiring import Service

Heard = ConsentGranted | ConsentWithdrawn | ConsentExpired


def consumers(service: Service) -> list[Consumer]:
    """Return storage's queues and their handlers."""

    async def before_user_registered(envelope: Envelope[UserRegistered]) -> None:
        await service.vault.open_key(envelope.data.user_id)

    async def on_user_registered(uow: UnitOfWork, envelope: Envelope[UserRegistered]) -> None:
        await uow.lock_subject(envelope.data.user_id)

    return [
        Consumer(
            "storage.open-keys",
            {UserRegistered: on_user_registered},
            before={UserRegistered: before_user_registered},
        ),
        Consumer("storage.follow-consent", _followers_of_consent(service.clock)),
    ]


def _followers_of_consent(clock: Clock) -> dict[type[Event], Handler]:
    """Photos rest on one purpose; what else a person agrees to is not kept here."""

    async def follow(uow: UnitOfWork, event: Heard, state: ConsentState) -> None:
        if event.consent_type is ConsentType.BIOMETRIC_CAPTURE:
            await follow_consent(uow, user_id=event.user_id, state=state, now=clock.now())

    async def on_consent_granted(uow: UnitOfWork, envelope: Envelope[ConsentGranted]) -> None:
        event = envelope.data
        # What had ended before this grant is told by the end's own event.
        state = ConsentState(granted=True, consent_id=event.consent_id, epoch=event.epoch, withdrawn_epoch=0)
        await follow(uow, event, state)

    async def on_consent_ended(
        uow: UnitOfWork, envelope: Envelope[ConsentWithdrawn] | Envelope[ConsentExpired]
    ) -> None:
        event = envelope.data
        state = ConsentState(granted=False, consent_id=None, epoch=event.epoch, withdrawn_epoch=event.epoch)
        await follow(uow, event, state)

    return {
        ConsentGranted: on_consent_granted,
        ConsentWithdrawn: on_consent_ended,
        ConsentExpired: on_consent_ended,
    }
