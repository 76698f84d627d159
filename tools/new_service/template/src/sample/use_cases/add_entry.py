"""Keep what a person wrote."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from sample.models import Entry
from sample.policy import require_room
from sample.repositories import Entries


async def add_entry(uow: UnitOfWork, *, user_id: UUID, words: str) -> Entry:
    """Return the new entry; raises `PersonErased` and `TooManyEntries`."""
    await uow.lock_subject(user_id)
    entries = Entries(uow.session)
    require_room(await entries.count_of(user_id))
    entry = Entry(id=new_id(), user_id=user_id, words=words, created_at=uow.now())
    entries.add(entry)
    return entry
