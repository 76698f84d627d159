"""Show a person how their data is treated at their wish."""

from uuid import UUID

from chassis.db import Database
from chassis.problems import PersonErased
from consent.preferences import Preferences
from consent.repositories.preferences import PreferencesOfPeople


async def show_preferences(database: Database, *, user_id: UUID) -> Preferences:
    """Return what holds; raises `PersonErased` for someone whose erasure has begun."""
    async with database.read_only() as session:
        found = await PreferencesOfPeople(session).look_at(
            user_id, person_hash=database.tombstone_keys.hashes(user_id)
        )
    if found.erased:
        raise PersonErased
    return found.preferences
