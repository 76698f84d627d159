"""What identity does when it hears of something."""

from typing import Any

from chassis.consumer import Consumer
from chassis.db import UnitOfWork
from contracts.consent import ConsentErasureReported, ConsentParticipantJoined
from contracts.envelope import Envelope
from contracts.identity import IdentityErasureReported, IdentityParticipantJoined
from contracts.storage import StorageErasureReported, StorageParticipantJoined
from identity.repositories import Participants
from identity.use_cases.erasure.collect_report import collect_report
from identity.wiring import Service


def consumers(service: Service) -> list[Consumer]:
    """Return the queues by which identity coordinates erasures, and their handlers."""

    async def on_erasure_reported(uow: UnitOfWork, envelope: Envelope[Any]) -> None:
        await collect_report(uow, envelope.data, now=service.clock.now())

    async def on_participant_joined(uow: UnitOfWork, envelope: Envelope[Any]) -> None:
        event = envelope.data
        await Participants(uow.session).register(
            service=event.service,
            handles=list(event.handles),
            version=event.version,
            now=service.clock.now(),
        )

    reports = (IdentityErasureReported, ConsentErasureReported, StorageErasureReported)
    arrivals = (IdentityParticipantJoined, ConsentParticipantJoined, StorageParticipantJoined)
    return [
        Consumer("identity.collect-erasure-reports", dict.fromkeys(reports, on_erasure_reported)),
        Consumer("identity.register-participants", dict.fromkeys(arrivals, on_participant_joined)),
    ]
