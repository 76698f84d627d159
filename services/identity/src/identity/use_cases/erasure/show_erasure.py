"""Show how far an erasure is, to whoever holds its token."""

import hmac
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from identity.erasure.schemas import ErasureParticipantRead, ErasureRead
from identity.repositories import Erasures
from identity.tokens import capability_hash


async def show_erasure(uow: UnitOfWork, *, erasure_id: UUID, token: str) -> ErasureRead:
    """Return the status; a wrong token and an unknown erasure are the same `NotFound`."""
    erasures = Erasures(uow.session)
    erasure = await erasures.find(erasure_id)
    if erasure is None or not hmac.compare_digest(erasure.status_token_hash, capability_hash(token)):
        raise NotFound
    participants = await erasures.participants(erasure_id)
    if erasure.completed_at is not None:
        status = "completed"
    else:
        status = "overdue" if erasure.deadline <= uow.now() else "in_progress"
    return ErasureRead(
        status=status,
        requested_at=erasure.requested_at,
        deadline=erasure.deadline,
        completed_at=erasure.completed_at,
        participants=[
            ErasureParticipantRead(
                service=part.service,
                status="completed" if part.completed_at is not None else "waiting",
                completed_at=part.completed_at,
                erased=part.erased or {},
            )
            for part in participants
        ],
    )
