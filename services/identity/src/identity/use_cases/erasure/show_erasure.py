"""Show how far an erasure is, to whoever holds its token."""

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from identity.erasure.policy import Outcome, Step, StepTaken, outcome_of, steps_in_order
from identity.erasure.schemas import ErasureParticipantRead, ErasureRead, ErasureStepRead, HoldRead
from identity.models import Erasure, ErasureParticipant
from identity.repositories import DeletionRequests, Erasures, FrozenAccount, Holds
from identity.tokens import capability_hash


async def show_erasure(uow: UnitOfWork, *, erasure_id: UUID, token: str) -> ErasureRead:
    """Return the status; a wrong token and an unknown erasure are the same `NotFound`."""
    frozen = await find_frozen(uow, erasure_id=erasure_id, token=token)
    if frozen is not None:
        return _waiting(frozen)
    erasure = await find_erasure(uow, erasure_id=erasure_id, token=token)
    participants = await Erasures(uow.session).participants(erasure_id)
    holds = await Holds(uow.session).of_erasure(erasure_id, since=erasure.requested_at)
    return ErasureRead(
        status=_status(erasure, uow.now()),
        outcome=_outcome(erasure, participants),
        requested_at=erasure.requested_at,
        deadline=erasure.deadline,
        completed_at=erasure.completed_at,
        holds=[HoldRead.model_validate(hold) for hold in holds],
        participants=[
            ErasureParticipantRead(
                service=part.service,
                status=_standing(part),
                completed_at=part.completed_at,
                erased=part.erased or {},
                held=part.held or {},
                nothing_held=part.completed_at is not None and not any((part.erased or {}).values()),
                retired_at=part.retired_at,
                retired_reason=part.retired_reason,
            )
            for part in participants
        ],
        steps=[ErasureStepRead(step=it.step, at=it.at) for it in steps_of(erasure)],
        grace_until=erasure.grace_until,
    )


def _status(erasure: Erasure, now: datetime) -> Literal["in_progress", "partial", "completed", "overdue"]:
    if erasure.completed_at is not None:
        return "completed"
    if erasure.held_since is not None:
        return "partial"
    return "overdue" if erasure.deadline <= now else "in_progress"


def _outcome(erasure: Erasure, participants: Sequence[ErasureParticipant]) -> Outcome | None:
    complete = erasure.completed_at is not None
    if not complete and erasure.held_since is None:
        return None
    return outcome_of(complete=complete, retired=any(_standing(it) == "retired" for it in participants))


def _waiting(frozen: FrozenAccount) -> ErasureRead:
    steps = [ErasureStepRead(step=step, at=frozen.requested_at) for step in (Step.REQUESTED, Step.GRACE)]
    return ErasureRead(
        status="in_progress",
        outcome=None,
        requested_at=frozen.requested_at,
        deadline=frozen.deadline,
        completed_at=None,
        participants=[],
        holds=[],
        steps=steps,
        grace_until=frozen.grace_until,
    )


async def find_frozen(uow: UnitOfWork, *, erasure_id: UUID, token: str) -> FrozenAccount | None:
    """Return the request that the token belongs to, while it can be canceled."""
    frozen = await DeletionRequests(uow.session).find(erasure_id)
    shown = capability_hash(token)
    return frozen if frozen and hmac.compare_digest(frozen.status_token_hash, shown) else None


async def find_erasure(uow: UnitOfWork, *, erasure_id: UUID, token: str) -> Erasure:
    """Return the erasure that the token belongs to; raises `NotFound`."""
    erasure = await Erasures(uow.session).find(erasure_id)
    if erasure is None or not hmac.compare_digest(erasure.status_token_hash, capability_hash(token)):
        raise NotFound
    return erasure


def _standing(part: ErasureParticipant) -> Literal["waiting", "partial", "completed", "retired"]:
    if part.completed_at is not None:
        return "completed"
    if part.held_at is not None:
        return "partial"
    return "waiting" if part.retired_at is None else "retired"


def steps_of(erasure: Erasure) -> list[StepTaken]:
    """Return the steps that an erasure has taken, in their order."""
    # An erasure that an earlier release opened began when it was requested.
    begun = erasure.erasing_at or erasure.requested_at
    return steps_in_order(
        (
            (Step.REQUESTED, erasure.requested_at),
            (Step.GRACE, erasure.requested_at if erasure.grace_until else None),
            (Step.ERASING, begun),
            (Step.VERIFYING, erasure.verifying_at),
            (Step.OVERDUE, erasure.overdue_at),
            (Step.PARTIAL, erasure.partial_at),
            (Step.COMPLETED, erasure.completed_at),
        )
    )
