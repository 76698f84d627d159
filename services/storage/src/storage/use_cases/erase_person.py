"""Storage's part in an erasure: the key, every version of every object, then the rows."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import Database, UnitOfWork
from storage.repositories import Destructions, Gates, Photos
from storage.vault import Vault


class StorageHoldings:
    """What storage holds of a person, in the database, in the keyring and in the bucket."""

    def __init__(self, database: Database, vault: Vault, *, late_sweeps: Sequence[timedelta]) -> None:
        self._database = database
        self._vault = vault
        self._late_sweeps = late_sweeps

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what is held now, by kind; raises what the store raises, because unknown is not nothing."""
        inventory = await self._vault.inventory(user_id)
        data_keys = await self._vault.count_keys(user_id)
        async with self._database.unit_of_work() as uow:
            return {
                "photos": await Photos(uow.session).count(user_id),
                "objects": inventory.total,
                "data_keys": data_keys,
                "consents": await Gates(uow.session).count(user_id),
                "unfinished_deletions": await Destructions(uow.session).count(user_id),
            }

    async def erase(self, user_id: UUID) -> None:
        """Destroy all of it; harmless when repeated, raises while the store can't be emptied.

        The tombstone is up, so nothing new begins. The key goes first: from then on no copy can be read.
        """
        await self._vault.destroy_key(user_id)
        folder = self._vault.folder_of_person(user_id)
        await self._vault.empty(folder)
        async with self._database.unit_of_work() as uow:
            await self._remove_rows(uow, user_id)
            # An upload that was cut off between its write and its refusal may still land in the bucket.
            await Destructions(uow.session).sweep_later(folder, after=self._late_sweeps)

    @staticmethod
    async def _remove_rows(uow: UnitOfWork, user_id: UUID) -> None:
        # No announcement names one of the photos: the report counts them, and nothing that leads to the
        # person may wait in the outbox when the erasure is reported.
        await Photos(uow.session).remove_all_of(user_id)
        await Destructions(uow.session).remove_all_of(user_id)
        await Gates(uow.session).remove(user_id)
