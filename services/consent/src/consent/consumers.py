"""What consent does when it hears of something."""

from chassis.consumer import Consumer
from chassis.db import UnitOfWork
from chassis.erasure import ErasureParticipation, OpenErasure
from contracts.envelope import Envelope
from contracts.identity import UserDeleted


def consumers(participation: ErasureParticipation) -> list[Consumer]:
    """Return consent's queues and their handlers."""

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

    return [Consumer("consent.erase-user", {UserDeleted: on_user_deleted})]
