"""Record that a person no longer agrees; from the commit on, every question is answered with no."""

from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from consent.policy import Consent, EntryKind, consent_of
from consent.repositories import GateState, GrantRow, HeldGates, Ledger
from contracts.consent import ConsentWithdrawn
from contracts.fields import ConsentType


class ConsentNotFound(NotFound):
    """There is no such consent, or it is somebody else's; which of the two is nobody's business."""

    detail = "You have no consent with this id. GET /privacy/consent lists yours."


async def withdraw_consent(uow: UnitOfWork, *, user_id: UUID, consent_id: UUID) -> Consent:
    """Append a withdrawal and announce it; withdrawing again changes nothing.

    It ends the person's consent to that purpose, also when the record that was named has lapsed or has been
    superseded by a newer one. Raises `ConsentNotFound`.
    """
    held = await HeldGates(uow).hold_of(user_id, consent_id)
    if held is None:
        raise ConsentNotFound
    named = held.named
    if held.withdrawn_at is not None:
        return consent_of(named, withdrawn_at=held.withdrawn_at)
    # What is not withdrawn under the lock is open or has lapsed, itself or in its successor.
    ended = held.granted or named
    withdrawn_at = await close_withdrawn_gate(uow, held.gate, ended)
    return consent_of(named, withdrawn_at=withdrawn_at)


async def close_withdrawn_gate(uow: UnitOfWork, gate: GateState, granted: GrantRow) -> datetime:
    """Append and announce the withdrawal of a grant whose gate the caller holds; return when it was.

    Raises ValueError for an erased grant.
    """
    if granted.consent_id is None:
        raise ValueError("an erased grant can't be withdrawn")
    withdrawn_at = await Ledger(uow.session).append_end(EntryKind.WITHDRAWAL, gate, granted)
    uow.publish(
        ConsentWithdrawn(
            user_id=gate.user_id,
            consent_id=granted.consent_id,
            consent_type=ConsentType(gate.consent_type),
            jurisdiction=granted.jurisdiction,
            epoch=gate.epoch + 1,
            withdrawn_at=withdrawn_at,
        )
    )
    return withdrawn_at
