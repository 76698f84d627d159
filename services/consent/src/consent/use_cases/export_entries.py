"""Give a person their entries of the ledger, each with its signed receipt."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.db import Database
from chassis.export_section import rows_of
from chassis.faults import TransientFault
from consent.models import LedgerEntry
from consent.receipts import Issuer
from consent.repositories.entries import Entries
from consent.transparency.keys import LogKeys
from consent.use_cases.show_receipt import sign_receipt


class EntryNotSealed(TransientFault):
    """The newest entry is not in the log yet; it is sealed within seconds."""


async def export_entries(
    database: Database, *, user_id: UUID, issuer: Issuer, keys: LogKeys, now: datetime
) -> AsyncIterator[dict[str, Any]]:
    """Yield the entries with their receipts, the oldest first; raises `EntryNotSealed`."""
    async for row in rows_of(database, LedgerEntry.user_id, user_id):
        async with database.read_only() as session:
            entry = await Entries(session).at(row["position"])
        if entry is None or entry.personal is None:
            # Their erasure has begun meanwhile, and ends the export.
            continue
        receipt = await sign_receipt(database, entry, issuer=issuer, keys=keys, now=now)
        if receipt is None:
            raise EntryNotSealed("an entry waits for its place in the log")
        yield {**row, "receipt": receipt.token}
