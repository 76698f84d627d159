"""What identity does when it hears of something."""

from chassis.consumer import Consumer
from chassis.db import UnitOfWork
from contracts.envelope import Envelope
from contracts.participation import ErasureReported, ParticipantJoined
from identity.repositories import Participants
from identity.use_cases.erasure.collect_report import collect_report
from identity.wiring import Service


def consumers(service: Service) -> list[Consumer]:
    """Return the queues by which identity coordinates erasures, and their handlers."""

    async def on_erasure_reported(uow: UnitOfWork, envelope: Envelope[ErasureReported]) -> None:
        await collect_report(uow, envelope.data, now=service.clock.now())

    async def on_participant_joined(uow: UnitOfWork, envelope: Envelope[ParticipantJoined]) -> None:
        event = envelope.data
        await Participants(uow.session).register(
            service=event.service,
            handles=list(event.handles),
            version=event.version,
            now=service.clock.now(),
        )

    return [
        Consumer("identity.collect-erasure-reports", {ErasureReported: on_erasure_reported}),
        Consumer("identity.register-participants", {ParticipantJoined: on_participant_joined}),
    ]
