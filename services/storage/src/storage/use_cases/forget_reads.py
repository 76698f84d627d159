"""Forget who was given the bytes of photos, when it is long ago."""

from datetime import timedelta

from chassis.db import Database
from storage.repositories import PhotoReads


async def forget_reads(database: Database, *, keep: timedelta) -> int:
    """Delete reads that are older than that, batch by batch; return how many."""
    forgotten, before = 0, database.clock.now() - keep
    while True:
        async with database.unit_of_work() as uow:
            batch = await PhotoReads(uow.session).forget(before=before)
        forgotten += batch
        if not batch:
            return forgotten
