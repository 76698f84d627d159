"""Answers that are kept for requests with an Idempotency-Key: sealed, for a day, under nobody's name.

An answer can hold tokens and addresses. Its key is made of the client's own Idempotency-Key and a secret of
the service, and the request that it answers is sealed with it: who reads the database, or holds the secret,
learns from a row that somebody asked something at a time, and how long the answer was.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from chassis import scripts
from chassis.db import Database
from chassis.inbox import purge_older
from chassis.sealing import OlderFormat, SealingKeys

KEEP = timedelta(hours=24)


@dataclass(frozen=True)
class StoredResponse:
    """An answer, and the digest of the request that it was given to."""

    request: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def to_bytes(self) -> bytes:
        """Return a line of JSON, and the body behind it."""
        head = {"request": self.request, "status": self.status, "headers": self.headers}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> "StoredResponse":
        """Return what `to_bytes` wrote."""
        line, _, body = data.partition(b"\n")
        head = json.loads(line)
        headers = tuple((name, value) for name, value in head["headers"])
        return cls(request=head["request"], status=head["status"], headers=headers, body=body)


class IdempotencyRecord:
    """The place of one answer: found and opened only with the client's key, for the same caller and route."""

    def __init__(self, database: Database, *, key: str, scope: Sequence[str]) -> None:
        secret = database.subkey("idempotency")
        # The first word is part of every stored name: changed, no answer given before would be found.
        label = json.dumps(["drawer", *scope]).encode()
        # HKDF gives two independent secrets (RFC 5869 §3.2): one names the row, the other opens it.
        made = HKDF(SHA256(), length=64, salt=secret, info=label).derive(key.encode())
        self.name = hashlib.sha256(made[:32]).hexdigest()
        self._lock = int.from_bytes(made[:8], "big", signed=True)
        self._sealing = SealingKeys("the Idempotency-Key", [made[32:]])
        self._context = self.name.encode()
        self._older = OlderFormat(self._context, header=b"")
        self._table: Table = database.tables.idempotency_keys

    async def look(self, session: AsyncSession | AsyncConnection) -> StoredResponse | None:
        """Return the answer, if one was kept within the last 24 hours."""
        table = self._table
        sealed = await session.scalar(
            select(table.c.sealed).where(
                table.c.key_hash == self.name, table.c.created_at > func.clock_timestamp() - KEEP
            )
        )
        if sealed is None:
            return None
        return StoredResponse.from_bytes(self._sealing.open(sealed, context=self._context, older=self._older))

    def claim(self) -> str:
        """Return the script that keeps others out until the transaction ends, and finds what was kept."""
        return scripts.claim_answer(self._table, self.name, lock=self._lock, keep=KEEP)

    def keep(self, answer: StoredResponse) -> str:
        """Return the script that keeps the answer; only one that is too old can be in its place."""
        sealed = self._sealing.seal(answer.to_bytes(), context=self._context, older=self._older)
        return scripts.keep_answer(self._table, self.name, sealed)


async def purge_idempotency_records(database: Database) -> int:
    """Forget answers that were given more than 24 hours ago; return how many."""
    return await purge_older(database, database.tables.idempotency_keys.c.created_at, keep=KEEP)
