"""Keep the gate as consent says, and destroy what rested on a consent that was withdrawn.

Epochs decide, not the order of arrival: a gate only ever moves to a higher epoch, and what a withdrawal has
closed stays closed for every photo that rests on an epoch up to it.
"""

from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import PhotoDeletionReason
from storage.models import ConsentGate
from storage.policy import ConsentState
from storage.repositories import DESTRUCTIONS, Destructions, Gates, Photos


async def follow_grant(
    uow: UnitOfWork, *, user_id: UUID, consent_id: UUID, epoch: int, now: datetime
) -> None:
    """Open the gate unless something later was heard; raises `PersonErased`."""
    await uow.lock_subject(user_id)
    gate = await Gates(uow.session).hold(user_id, now=now)
    if epoch > gate.epoch:
        _move(gate, epoch=epoch, consent_id=consent_id)


async def follow_withdrawal(uow: UnitOfWork, *, user_id: UUID, epoch: int, now: datetime) -> None:
    """Close the gate and let go of every photo that rests on the consent; raises `PersonErased`."""
    await uow.lock_subject(user_id)
    gate = await Gates(uow.session).hold(user_id, now=now)
    if epoch > gate.epoch:
        _move(gate, epoch=epoch, consent_id=None)
    # A withdrawal that arrives after the next grant closes nothing any more, and still destroys.
    await _release_up_to(uow, gate, epoch=epoch, now=now)


async def absorb_answer(uow: UnitOfWork, *, user_id: UUID, answer: ConsentState, now: datetime) -> None:
    """Take over what consent said when asked, as if the events had arrived; raises `PersonErased`.

    A consent that has lapsed is over from that moment, even before its epoch moves.
    """
    await uow.lock_subject(user_id)
    gates = Gates(uow.session)
    known = await gates.epochs_of([user_id])
    if not answer.is_news_to(known.get(user_id)):
        return
    ended = answer.withdrawn_epoch if answer.granted else answer.epoch
    gate = await gates.hold(user_id, now=now)
    if answer.epoch > gate.epoch or (answer.epoch == gate.epoch and not answer.granted):
        _move(gate, epoch=answer.epoch, consent_id=answer.consent_id if answer.granted else None)
    gate.checked_at = now
    await _release_up_to(uow, gate, epoch=ended, now=now)


def _move(gate: ConsentGate, *, epoch: int, consent_id: UUID | None) -> None:
    gate.epoch = epoch
    gate.granted = consent_id is not None
    gate.consent_id = consent_id


async def _release_up_to(uow: UnitOfWork, gate: ConsentGate, *, epoch: int, now: datetime) -> None:
    if epoch <= gate.withdrawn_epoch:
        return
    gate.withdrawn_epoch = epoch
    destructions = Destructions(uow.session)
    for photo in await Photos(uow.session).take_resting_on(gate.user_id, epoch=epoch, now=now):
        destructions.add_photo(photo, reason=PhotoDeletionReason.WITHDRAWAL)
    await uow.wake(DESTRUCTIONS.name)
