"""Everything that verifying the log reads, in one snapshot of the schema, batch by batch."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from consent.models import Personal
from consent.repositories.rows import ENTRIES
from consent.repositories.transparency_log import LEAF_COLUMNS, leaf_of_anchor
from consent.transparency.audit import StoredCheckpoint, StoredLeaf
from consent.transparency.leaves import EntryLeaves, Source
from consent.transparency.merkle import leaf_hash

BATCH = 5_000
MOST_UNSEALED = 100
_PERSONAL = [column.name for column in ENTRIES.c if "on_erase" in column.info]
_DIFFERING = ("commitment", "expires_at", "occurred_at")
_ALIKE = [column.name for column in LEAF_COLUMNS if column.name not in _DIFFERING]
_COLUMNS = ", ".join(["position", *(column.name for column in LEAF_COLUMNS), *_PERSONAL])
_LEAVES = (
    "SELECT leaf_index, source, position, leaf_hash FROM consent.log_leaves"
    " WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2"
)
_ENTRIES = f"SELECT {_COLUMNS} FROM consent.entries WHERE position = ANY($1)"  # noqa: S608 - names of columns
_ANCHORS = "SELECT position, kind, digest, anchored_at FROM consent.log_anchors WHERE position = ANY($1)"
_NODES = "SELECT level, node_index, node_hash FROM consent.log_nodes"
_CHECKPOINTS = (
    "SELECT tree_size, root_hash, note, jws FROM consent.log_checkpoints"
    " WHERE tree_size > $1 ORDER BY tree_size LIMIT $2"
)
_ARCHIVED = """
    SELECT tree_size FROM consent.log_checkpoints EXCEPT SELECT tree_size FROM consent.log_uploads
    ORDER BY tree_size
"""
_UNSEALED = """
    SELECT source, position FROM (
        SELECT 'entry' AS source, position FROM consent.entries
        UNION ALL SELECT 'anchor', position FROM consent.log_anchors
    ) AS written
    WHERE NOT EXISTS (SELECT FROM consent.log_leaves AS leaf
        WHERE leaf.source = written.source AND leaf.position = written.position)
    AND NOT EXISTS (SELECT FROM consent.log_queue AS waiting
        WHERE waiting.source = written.source AND waiting.position = written.position)
    ORDER BY source, position LIMIT $1
"""


class LogReader:
    """The log and its ledger as they are at one moment."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._entry_leaves = EntryLeaves(_ALIKE, _DIFFERING)

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[Self]:
        """Read as whoever the address names, until the block ends; raises what the driver raises."""
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            # Planning each batch costs more than running it wherever JIT is on.
            await connection.execute("SET jit = off")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield cls(connection)
        finally:
            await connection.close()

    async def nodes(self) -> dict[tuple[int, int], bytes]:
        """Return the roots of full tiles by level and index."""
        return {(level, index): node for level, index, node in await self._connection.fetch(_NODES)}

    async def leaves(self) -> AsyncIterator[list[StoredLeaf]]:
        """Yield the leaves in their order, with what their rows say now."""
        begin = 0
        while rows := await self._connection.fetch(_LEAVES, begin, BATCH):
            of = {source.value: [row[2] for row in rows if row[1] == source] for source in Source}
            entries = {row["position"]: row for row in await self._connection.fetch(_ENTRIES, of["entry"])}
            anchors = {row["position"]: row for row in await self._connection.fetch(_ANCHORS, of["anchor"])}
            yield [
                self._of_entry(index, hashed, position, entries.get(position))
                if source == Source.ENTRY
                else _of_anchor(index, hashed, position, anchors.get(position))
                for index, source, position, hashed in rows
            ]
            begin = rows[-1][0] + 1

    def _of_entry(
        self, index: int, hashed: bytes, position: int, row: Mapping[str, Any] | None
    ) -> StoredLeaf:
        computed = None if row is None else leaf_hash(self._entry_leaves.leaf(row))
        return StoredLeaf(index, hashed, _name("entry", position), computed, row is None or _holds(row))

    async def checkpoints(self) -> AsyncIterator[StoredCheckpoint]:
        """Yield the checkpoints, the smallest first."""
        size = -1
        while rows := await self._connection.fetch(_CHECKPOINTS, size, BATCH):
            for size, root, note, jws in rows:
                yield StoredCheckpoint(note, jws, size, root)

    async def archived(self) -> list[int]:
        """Return the sizes of the checkpoints that were brought into the object store."""
        return [row[0] for row in await self._connection.fetch(_ARCHIVED)]

    async def unsealed(self) -> list[str]:
        """Return the first rows that are in no leaf and do not wait to be."""
        rows = await self._connection.fetch(_UNSEALED, MOST_UNSEALED)
        return [_name(source, position) for source, position in rows]


def _name(source: str, position: int) -> str:
    return f"the {source} at position {position}"


def _of_anchor(index: int, hashed: bytes, position: int, row: Mapping[str, Any] | None) -> StoredLeaf:
    computed = None if row is None else leaf_hash(leaf_of_anchor(row))
    return StoredLeaf(index, hashed, _name("anchor", position), computed)


def _holds(row: Mapping[str, Any]) -> bool:
    """Tell whether the commitment is to the personal fields, or these are blank."""
    fields = {name: row[name] for name in _PERSONAL}
    salt, details = fields.pop("salt"), fields.pop("metadata")
    if salt is None:
        return details is None and not any(fields.values())
    return bool(row["commitment"] == Personal(details=details, **fields).commitment(salt))
