"""Record that a person no longer agrees; from the commit on, every question is answered with no."""

from collections.abc import Sequence
from uuid import UUID

from chassis.clock import Clock
from chassis.db import UnitOfWork
from chassis.problems import NotFound
from consent.models import LedgerEntry
from consent.policy import Consent, consents_told_by
from consent.repositories import Gates, Ledger
from contracts.consent import ConsentWithdrawn
from contracts.fields import ConsentType


class ConsentNotFound(NotFound):
    """There is no such consent, or it is somebody else's; which of the two is nobody's business."""

    detail = "You have no consent with this id. GET /privacy/consent lists yours."


async def withdraw_consent(uow: UnitOfWork, *, user_id: UUID, consent_id: UUID, clock: Clock) -> Consent:
    """Append a withdrawal and announce it; withdrawing again changes nothing.

    It ends the person's consent to that purpose, also when the record that was named has been superseded
    by a newer one. Raises `ConsentNotFound`.
    """
    await uow.about(user_id)
    ledger = Ledger(uow.session)
    named = await ledger.grant(user_id, consent_id)
    if named is None:
        raise ConsentNotFound
    consent_type = ConsentType(named.consent_type)
    gate = await Gates(uow.session).hold(user_id, consent_type)
    consent = _find(consent_id, await ledger.of_person(user_id, consent_type))
    if consent.withdrawn_at is not None:
        return consent
    # What is not withdrawn under the lock leaves the gate open, with this consent or with its successor.
    open_consent_id = gate.open_consent_id or consent_id
    withdrawal = await ledger.append_withdrawal(
        gate, await ledger.grant(user_id, open_consent_id) or named, at=clock.now()
    )
    uow.publish(
        ConsentWithdrawn(
            user_id=user_id,
            consent_id=open_consent_id,
            consent_type=consent_type,
            jurisdiction=withdrawal.jurisdiction,
            epoch=withdrawal.epoch,
            withdrawn_at=withdrawal.occurred_at,
        )
    )
    return _find(consent_id, await ledger.of_person(user_id, consent_type))


def _find(consent_id: UUID, entries: Sequence[LedgerEntry]) -> Consent:
    return next(consent for consent in consents_told_by(entries) if consent.id == consent_id)
