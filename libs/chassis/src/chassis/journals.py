"""The erasure journals of one service: one for each schema that remembers erased people."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chassis.db import Database
from chassis.erasure_journal import ErasureJournal, Sweep
from chassis.object_store import ObjectStoreSettings, open_object_store
from chassis.settings import StatefulSettings


@asynccontextmanager
async def open_journals(
    settings: StatefulSettings, schemas: Sequence[tuple[Database, Sweep]]
) -> AsyncIterator[list[ErasureJournal]]:
    """Open the journal of each schema, which its sweep comes with; it connects at its first use."""
    store = ObjectStoreSettings(
        endpoint_url=settings.journal_endpoint_url,
        access_key=settings.journal_access_key.get_secret_value(),
        secret_key=settings.journal_secret_key.get_secret_value(),
        bucket=settings.journal_bucket,
        region=settings.journal_region,
    )
    async with open_object_store(store) as objects:
        yield [ErasureJournal(schema, objects, sweep=sweep) for schema, sweep in schemas]
