"""Prove that an entry is in the log, and that one checkpoint continues another."""

from dataclasses import dataclass

from chassis.db import Database
from consent.repositories.transparency_log import SealedCheckpoint, TransparencyLog
from consent.transparency.leaves import Source
from consent.transparency.merkle import consistency_ranges, inclusion_ranges
from consent.transparency.tiles import hashes_of, tiles_of


@dataclass(frozen=True)
class Inclusion:
    """A leaf, the hashes from it to the root (RFC 6962 §2.1.1), and the checkpoint whose root that is."""

    leaf_index: int
    proof: tuple[bytes, ...]
    checkpoint: SealedCheckpoint


async def prove_inclusion(
    database: Database, position: int, source: Source = Source.ENTRY
) -> Inclusion | None:
    """Prove that the row at that position is in the newest tree; None until it is sealed."""
    # What was sealed never changes, so the tiles of that checkpoint may be read afterwards.
    async with database.read_only() as session:
        located = await TransparencyLog(session).locate(source, position)
    if located is None:
        return None
    index, checkpoint = located
    ranges = inclusion_ranges(index, checkpoint.size)
    async with database.read_only() as session:
        tiles = await TransparencyLog(session).tiles(tiles_of(ranges, checkpoint.size))
    return Inclusion(index, tuple(hashes_of(ranges, tiles)), checkpoint)


async def prove_consistency(database: Database, old: int, size: int) -> tuple[bytes, ...]:
    """Prove that the tree of `size` leaves begins with that of `old`; ValueError for a larger one."""
    ranges = consistency_ranges(old, size)
    if not ranges:
        return ()
    async with database.read_only() as session:
        tiles = await TransparencyLog(session).tiles(tiles_of(ranges, size))
    return tuple(hashes_of(ranges, tiles))
