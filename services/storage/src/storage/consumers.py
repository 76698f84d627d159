"""What storage does when it hears of something."""

from datetime import timedelta

from chassis.consumer import Consumer
from chassis.db import UnitOfWork
from chassis.holds import Hold
from contracts.consent import ConsentExpired, ConsentGranted, ConsentWithdrawn
from contracts.envelope import Envelope
from contracts.fields import ConsentType, PhotoDeletionReason
from contracts.identity import HoldChanged, UserFrozen, UserRegistered
from contracts.participation import ExportContributed, ParticipantJoined
from contracts.registry import ASSEMBLER
from storage.policy import ConsentState
from storage.repositories import Contributors
from storage.use_cases.exports.collect_contribution import collect_contribution
from storage.use_cases.follow_consent import follow_consent
from storage.use_cases.follow_hold import follow_hold
from storage.use_cases.release_everything import release_everything
from storage.wiring import Service


async def on_user_registered(uow: UnitOfWork, envelope: Envelope[UserRegistered]) -> None:
    """Make sure that the person is not erased: the key was made before this transaction."""
    await uow.lock_subject(envelope.data.user_id)


async def on_user_frozen(uow: UnitOfWork, envelope: Envelope[UserFrozen]) -> None:
    """Let go of all photos of who asked to be erased: they wait for no grace, neither identity's nor ours."""
    await release_everything(uow, user_id=envelope.data.user_id)


class ConsentFollower:
    """Follows what is announced of consents; `grace` is how long withdrawn photos wait."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace

    async def on_granted(self, uow: UnitOfWork, envelope: Envelope[ConsentGranted]) -> None:
        """Open the gate; what had ended before this grant is told by the end's own event."""
        event = envelope.data
        state = ConsentState(granted=True, consent_id=event.consent_id, epoch=event.epoch, withdrawn_epoch=0)
        await self._follow(uow, event, state)

    async def on_withdrawn(self, uow: UnitOfWork, envelope: Envelope[ConsentWithdrawn]) -> None:
        """Close the gate, and let go of what rested on the consent, at once or after the grace."""
        await self._follow(uow, envelope.data, _ended(envelope.data))

    async def on_expired(self, uow: UnitOfWork, envelope: Envelope[ConsentExpired]) -> None:
        """Close the gate, and let go of what may not be kept any longer."""
        await self._follow(uow, envelope.data, _ended(envelope.data), PhotoDeletionReason.RETENTION)

    async def _follow(
        self,
        uow: UnitOfWork,
        event: ConsentGranted | ConsentWithdrawn | ConsentExpired,
        state: ConsentState,
        reason: PhotoDeletionReason = PhotoDeletionReason.WITHDRAWAL,
    ) -> None:
        # Photos rest on one purpose; what else a person agrees to is not kept here.
        if event.consent_type is ConsentType.BIOMETRIC_CAPTURE:
            await follow_consent(uow, user_id=event.user_id, state=state, grace=self._grace, reason=reason)


def _ended(event: ConsentWithdrawn | ConsentExpired) -> ConsentState:
    return ConsentState(granted=False, consent_id=None, epoch=event.epoch, withdrawn_epoch=event.epoch)


async def on_hold_changed(uow: UnitOfWork, envelope: Envelope[HoldChanged]) -> None:
    """Keep what storage has of a person, or let go of it."""
    event = envelope.data
    if event.service == "storage":
        await follow_hold(uow, event.user_id, Hold.of(event), ended_at=event.ended_at)


async def on_participant_joined(uow: UnitOfWork, envelope: Envelope[ParticipantJoined]) -> None:
    """Remember who writes a section of every export; storage has its own at hand."""
    event = envelope.data
    if "export" in event.handles and event.service != ASSEMBLER:
        await Contributors(uow.session).register(event.service, now=uow.now())


async def on_export_contributed(uow: UnitOfWork, envelope: Envelope[ExportContributed]) -> None:
    """Note that a section was written."""
    await collect_contribution(uow, envelope.data)


def consumers(service: Service) -> list[Consumer]:
    """Return storage's queues and their handlers."""

    async def before_user_registered(envelope: Envelope[UserRegistered]) -> None:
        await service.vault.open_key(envelope.data.user_id)

    follower = ConsentFollower(service.consents.withdrawal_grace)
    return [
        Consumer("storage.register-contributors", {ParticipantJoined: on_participant_joined}),
        Consumer("storage.follow-holds", {HoldChanged: on_hold_changed}),
        Consumer("storage.collect-contributions", {ExportContributed: on_export_contributed}),
        Consumer(
            "storage.open-keys",
            {UserRegistered: on_user_registered},
            before={UserRegistered: before_user_registered},
        ),
        Consumer(
            "storage.follow-consent",
            {
                ConsentGranted: follower.on_granted,
                ConsentWithdrawn: follower.on_withdrawn,
                ConsentExpired: follower.on_expired,
            },
        ),
        Consumer("storage.release-photos", {UserFrozen: on_user_frozen}),
    ]
