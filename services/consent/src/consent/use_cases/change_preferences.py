"""Have a person's choice or signal hold from now on, and tell those who act on it."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from chassis.db import Database
from consent.preferences import Preferences, Wish
from consent.repositories.preferences import PreferencesOfPeople
from consent.use_cases.show_preferences import show_preferences
from contracts.consent import PreferencesChanged


async def change_preferences(database: Database, wish: Wish, *, user_id: UUID, now: datetime) -> Preferences:
    """Return what holds; what holds already is neither written nor announced again.

    Raises `PersonErased` for someone whose erasure has begun.
    """
    held = await show_preferences(database, user_id=user_id)
    while (wished := wish.applied_to(held, now)) != held:
        changed = replace(wished, epoch=held.epoch + 1)
        async with database.unit_of_work() as uow:
            await uow.lock_subject(user_id)
            if await PreferencesOfPeople(uow.session).write(user_id, changed):
                if changed.flags != held.flags:
                    uow.publish(
                        PreferencesChanged(
                            user_id=user_id, epoch=changed.epoch, flags=changed.flags, changed_at=now
                        )
                    )
                return changed
        # Somebody else was faster, so this is decided anew from what they have written.
        held = await show_preferences(database, user_id=user_id)
    return held
