"""Seal what is in no leaf yet: order it, grow the tree, sign a checkpoint, and announce it."""

import structlog

from chassis.clock import Clock
from chassis.db import Database, UnitOfWork
from consent.repositories.transparency_log import SealedCheckpoint, TransparencyLog
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.keys import LogKeys
from consent.transparency.merkle import CompactRange
from consent.transparency.tiles import HEIGHT, edge_of, hashes_of, tiles_of
from contracts.consent import CheckpointSealed

BATCH = 5_000

log = structlog.get_logger(__name__)


async def seal_log(database: Database, *, keys: LogKeys, clock: Clock) -> int:
    """Bring everything that waits into the tree, one checkpoint per batch; return how many leaves were added.

    Of any number of sealers one does it. A crash leaves a whole checkpoint or nothing of it.
    """
    added = 0
    while True:
        async with database.read_only() as session:
            if not await TransparencyLog(session).has_work():
                return added
        async with database.unit_of_work() as uow:
            sealed = await _seal_batch(uow, keys=keys, clock=clock)
        added += sealed or 0
        if sealed is None or sealed < BATCH:
            return added


async def _seal_batch(uow: UnitOfWork, *, keys: LogKeys, clock: Clock) -> int | None:
    """Seal one batch; None when somebody else seals."""
    rows = TransparencyLog(uow.session)
    if not await rows.lock():
        return None
    leaves, lost = await rows.take(BATCH)
    if lost:
        # Who owns the schema has taken entries away before they were sealed; nothing can be said of them.
        log.critical("entries_lost_before_sealing", count=lost)
    if not leaves:
        return 0
    begin = await rows.size()
    tree = await _tree_of(rows, begin)
    nodes = [
        (level // HEIGHT, index, node)
        for leaf in leaves
        for level, index, node in tree.append(leaf.hash)
        if level % HEIGHT == 0
    ]
    await rows.append(begin, leaves, nodes)
    checkpoint = Checkpoint(keys.origin, tree.size, tree.root())
    await _publish(uow, rows, checkpoint, keys=keys, clock=clock)
    return len(leaves)


async def _tree_of(rows: TransparencyLog, size: int) -> CompactRange:
    edge = edge_of(size)
    return CompactRange(size, hashes_of(edge, await rows.tiles(tiles_of(edge, size))))


async def _publish(
    uow: UnitOfWork, rows: TransparencyLog, checkpoint: Checkpoint, *, keys: LogKeys, clock: Clock
) -> None:
    now, note = clock.now(), keys.sign_note(checkpoint)
    sealed = SealedCheckpoint(
        size=checkpoint.size,
        root=checkpoint.root,
        sealed_at=now,
        note=str(note),
        jws=keys.sign_checkpoint(checkpoint, sealed_at=now),
    )
    await rows.add_checkpoint(sealed)
    uow.publish(
        CheckpointSealed(
            tree_size=checkpoint.size,
            root=checkpoint.root.hex(),
            sealed_at=now,
            signature=note.signatures[0].encoded,
        )
    )
