"""Erase a person but for the photos that a law forbids to erase yet; those stay sealed, and unread.

A held photo is one that was confirmed and whose key is there: what can't be opened is no evidence, and is not
kept. The tombstone of the person closes every way to it; the key stays as long as one of their photos does.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.holds import Hold, records_of
from storage.repositories import Destructions
from storage.repositories.held_photos import HeldPhotos
from storage.use_cases.erase_person import end_deletions
from storage.vault import Vault

KIND = "photos"


async def held_photos(
    database: Database, vault: Vault, user_id: UUID, holds: Sequence[Hold]
) -> Sequence[UUID]:
    """Return the photos of a person that the holds keep."""
    if not any(hold.kind == KIND for hold in holds):
        return ()
    if not (await vault.count_keys([user_id]))[user_id]:
        return ()
    async with database.read_only() as session:
        return await HeldPhotos(session).confirmed(user_id, only=records_of(KIND, holds))


async def count_held_keys(database: Database, vault: Vault, user_id: UUID, holds: Sequence[Hold]) -> int:
    """Return 1 while a held photo needs the person's key."""
    return int(bool(await held_photos(database, vault, user_id, holds)))


async def count_held_objects(database: Database, vault: Vault, user_id: UUID, holds: Sequence[Hold]) -> int:
    """Return how many objects the held photos have."""
    return await vault.count_objects_of(user_id, await held_photos(database, vault, user_id, holds))


async def destroy_unneeded_key(
    database: Database, vault: Vault, user_id: UUID, holds: Sequence[Hold]
) -> None:
    """Delete the person's key unless a held photo needs it."""
    if not await held_photos(database, vault, user_id, holds):
        await vault.destroy_keys([user_id])


async def empty_unheld(database: Database, vault: Vault, user_id: UUID, holds: Sequence[Hold]) -> None:
    """Destroy every object of the person but those of held photos."""
    await vault.empty_person_but(user_id, await held_photos(database, vault, user_id, holds))


async def end_other_deletions(
    database: Database,
    vault: Vault,
    user_id: UUID,
    holds: Sequence[Hold],
    *,
    late_sweeps: Sequence[timedelta],
) -> None:
    """Do what `end_deletions` does, photo by photo: the person's folder is not empty."""
    held = await held_photos(database, vault, user_id, holds)
    if not held:
        await end_deletions(database, vault, [user_id], late_sweeps=late_sweeps)
        return
    async with database.unit_of_work() as uow:
        others = await HeldPhotos(uow.session).others(user_id, than=held)
        folders = [it for photo_id in others for it in vault.folders_of_photo(user_id, photo_id)]
        await Destructions(uow.session).sweep_later(folders, after=late_sweeps, also_of=[user_id])


async def remove_other_photos(database: Database, vault: Vault, user_id: UUID, holds: Sequence[Hold]) -> None:
    """Delete the rows of all photos that are not held, and list the held ones no more."""
    held = await held_photos(database, vault, user_id, holds)
    async with database.unit_of_work() as uow:
        await HeldPhotos(uow.session).keep_only(user_id, held, now=uow.now())
