"""Forget a person: nothing in this service leads to them any more, and the ledger still holds."""

from uuid import UUID

from chassis.db import UnitOfWork
from consent.repositories import Gates, Ledger


async def count_person(uow: UnitOfWork, *, user_id: UUID) -> dict[str, int]:
    """Return what leads to the person, by kind."""
    return {
        "consent_entries": await Ledger(uow.session).count(user_id),
        "consent_gates": await Gates(uow.session).count(user_id),
    }


async def erase_person(uow: UnitOfWork, *, user_id: UUID) -> None:
    """Blank the person's entries and delete their gates; harmless when repeated."""
    await Gates(uow.session).delete_of(user_id)
    await Ledger(uow.session).erase_person(user_id)
