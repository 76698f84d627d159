"""Transactions about many people at once."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select, text

from chassis.db import Database, UnitOfWork
from chassis.scripts import advisory_lock_key


async def lock_subjects(uow: UnitOfWork, database: Database, user_ids: Iterable[UUID]) -> set[UUID]:
    """Declare that this transaction writes about these people, and return those for whom it holds.

    What `UnitOfWork.lock_subject` promises is promised for the returned ones. Left out is whose erasure has
    begun or is about to begin: this waits for nobody, so it can't be one of two that wait for each other.
    """
    people = {database.tombstone_keys.hashes(user_id): user_id for user_id in user_ids}
    locks = {advisory_lock_key(hashes): hashes for hashes in people}
    # The condition is asked once per row, and every row is one of the list.
    try_lock = text(
        "SELECT key FROM unnest(CAST(:keys AS bigint[])) AS key WHERE pg_try_advisory_xact_lock_shared(key)"
    )
    taken = await uow.session.scalars(try_lock, {"keys": list(locks)})
    free = {locks[key] for key in taken}
    stones = uow.tables.tombstones.c.subject_hash
    named = {digest: hashes for hashes in free for digest in hashes.split(",")}
    buried = {named[it] for it in await uow.session.scalars(select(stones).where(stones.in_(named)))}
    return {people[hashes] for hashes in free - buried}
