"""Read what is published of the log."""

from chassis.db import Database
from consent.repositories.transparency_log import SealedCheckpoint, TransparencyLog
from consent.transparency.merkle import HASH_BYTES
from consent.transparency.tiles import Tile


async def read_checkpoint(database: Database) -> SealedCheckpoint | None:
    """Return the newest checkpoint; None before the first."""
    async with database.read_only() as session:
        return await TransparencyLog(session).latest()


async def read_tile(database: Database, tile: Tile) -> bytes | None:
    """Return the bytes of a tile; None when the tree is not so wide yet."""
    async with database.read_only() as session:
        found = (await TransparencyLog(session).tiles([tile]))[tile.level, tile.index]
    return found if len(found) == tile.width * HASH_BYTES else None
