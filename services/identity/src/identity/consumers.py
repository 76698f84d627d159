"""What identity does when it hears of something."""

from chassis.consumer import Consumer
from chassis.db import UnitOfWork
from contracts.envelope import Envelope
from contracts.participation import ErasureReported, ParticipantJoined
from identity.repositories import Participants
from identity.use_cases.erasure.collect_report import collect_report
from identity.wiring import Service


async def on_participant_joined(uow: UnitOfWork, envelope: Envelope[ParticipantJoined]) -> None:
    """Remember who takes part in erasures."""
    event = envelope.data
    await Participants(uow.session).register(
        service=event.service, handles=event.handles, version=event.version, now=uow.now()
    )


def consumers(service: Service) -> list[Consumer]:
    """Return identity's queues and their handlers."""

    async def on_erasure_reported(uow: UnitOfWork, envelope: Envelope[ErasureReported]) -> None:
        await collect_report(uow, envelope.data, certificates=service.certificates)

    return [
        Consumer("identity.collect-erasure-reports", {ErasureReported: on_erasure_reported}),
        Consumer("identity.register-participants", {ParticipantJoined: on_participant_joined}),
    ]
