"""Show a person everything they ever agreed to."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import PersonErased
from consent.policy import Consent, consents_told_by
from consent.repositories import Ledger


async def list_consents(uow: UnitOfWork, *, user_id: UUID) -> list[Consent]:
    """Return the person's consents, newest first, withdrawn and superseded ones too."""
    if await uow.is_erased(user_id):
        raise PersonErased
    return consents_told_by(await Ledger(uow.session).of_person(user_id))
