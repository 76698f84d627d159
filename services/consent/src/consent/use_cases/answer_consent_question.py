"""Answer another service that is about to act on a consent."""

from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from consent.policy import EntryKind, consents_told_by
from consent.repositories import Ledger
from consent.rulebook import Rulebook
from consent.schemas import ConsentAnswer
from contracts.fields import ConsentType


async def answer_consent_question(
    uow: UnitOfWork, *, user_id: UUID, consent_type: ConsentType, rulebook: Rulebook, now: datetime
) -> ConsentAnswer:
    """Answer from the ledger itself; no for anyone unknown and for anyone whose erasure has begun."""
    entries = await Ledger(uow.session).of_person(user_id, consent_type)
    withdrawals = [entry.epoch for entry in entries if entry.kind == EntryKind.WITHDRAWAL]
    live = next((consent for consent in consents_told_by(entries) if consent.is_live(rulebook, now)), None)
    if live is not None and await uow.is_erased(user_id):
        live = None
    return ConsentAnswer(
        granted=live is not None,
        consent_id=live.id if live else None,
        epoch=max((entry.epoch for entry in entries), default=0),
        withdrawn_epoch=max(withdrawals, default=0),
        jurisdiction=live.jurisdiction if live else None,
    )
