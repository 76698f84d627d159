"""Bring checkpoints into the object store; sealing waits for none of it."""

from chassis.db import Database
from chassis.object_store_faults import ObjectStoreUnavailable
from chassis.work_table import Claimed, WorkTable
from consent.archive import CheckpointArchive
from consent.repositories.transparency_log import UPLOADS, TransparencyLog
from consent.settings import ArchiveSettings


class Storing:
    """Works on the checkpoints that are not in the store yet, the smallest first."""

    def __init__(self, database: Database, settings: ArchiveSettings) -> None:
        self._database = database
        self._settings = settings
        self._waiting = WorkTable(database, UPLOADS, order_by=UPLOADS.c.tree_size)

    async def run(self) -> None:
        """Work until cancelled; while the store is away everything waits, and counts no failure."""
        async with CheckpointArchive.open(self._settings) as archive:

            async def store(claimed: Claimed) -> None:
                await self._store(archive, claimed)

            await self._waiting.run(store, holds=(ObjectStoreUnavailable,))

    async def tell(self) -> str | None:
        """Say how many checkpoints wait, and for how long; None when all are there."""
        return (await self._waiting.depth()).words

    async def _store(self, archive: CheckpointArchive, claimed: Claimed) -> None:
        size = claimed.row.tree_size
        async with self._database.read_only() as session:
            note = await TransparencyLog(session).note_of(size)
        await archive.add(size, note)
        async with self._database.one_statement() as session:
            await self._waiting.settle(session, claimed)
