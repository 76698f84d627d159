"""Tell a person whether pictures may be taken now."""

from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import PersonErased
from consent.policy import Consent, consents_told_by
from consent.repositories import Ledger
from consent.rulebook import Rulebook
from contracts.fields import ConsentType


async def check_biometric_consent(
    uow: UnitOfWork, *, user_id: UUID, rulebook: Rulebook, now: datetime
) -> Consent | None:
    """Return the live biometric consent, if there is one."""
    if await uow.is_erased(user_id):
        raise PersonErased
    entries = await Ledger(uow.session).of_person(user_id, ConsentType.BIOMETRIC_CAPTURE)
    return next((consent for consent in consents_told_by(entries) if consent.is_live(rulebook, now)), None)
