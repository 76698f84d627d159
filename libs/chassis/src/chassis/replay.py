"""After a restore: erase whoever the restored rows hold although the erasure journal has their tombstone.

It happens before the service opens, by the same erasure and the same second look as ever; the report follows
when the service is open again, because what was announced about the person must leave the outbox first.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from chassis.db import Database, UnitOfWork
from chassis.erasure import ErasureIncomplete, ErasureParticipation, OpenErasure
from chassis.holdings import Holdings
from chassis.ids import new_id

LOOKED_AT = 1000
ERASED_AT_ONCE = 64

Reopen = Callable[[UnitOfWork, OpenErasure], Awaitable[None]]
"""What a service does beside its own part when an erasure is begun again."""


async def nothing_more(_uow: UnitOfWork, _erasure: OpenErasure) -> None:
    """Do nothing: the erasure is the coordinator's, who has its own journal."""


class Replay:
    """The sweep of one service's rows; harmless when repeated."""

    def __init__(
        self,
        database: Database,
        holdings: Holdings[Any],
        participation: ErasureParticipation,
        reopen: Reopen = nothing_more,
    ) -> None:
        self._database = database
        self._holdings = holdings
        self._participation = participation
        self._reopen = reopen

    async def sweep(self) -> None:
        """Erase everybody who is held and has a tombstone; raises what an erasure raises that fails."""
        async for people in self._holdings.people(at_once=LOOKED_AT):
            buried = await self._buried(people)
            for first in range(0, len(buried), ERASED_AT_ONCE):
                await self._erase(buried[first : first + ERASED_AT_ONCE])

    async def _buried(self, people: Sequence[UUID]) -> list[OpenErasure]:
        stones = self._database.tables.tombstones
        named = {
            digest: user_id
            for user_id in people
            for digest in self._database.tombstone_keys.hashes(user_id).split(",")
        }
        found = select(stones.c.subject_hash, stones.c.erasure_id, stones.c.erased_at)
        async with self._database.read_only() as session:
            rows = (await session.execute(found.where(stones.c.subject_hash.in_(named)))).all()
        now = self._database.clock.now()
        # Who has two tombstones is one person.
        buried = {named[digest]: (erasure, at) for digest, erasure, at in rows}
        return [OpenErasure(it or new_id(), user_id, at, now) for user_id, (it, at) in buried.items()]

    async def _erase(self, erasures: Sequence[OpenErasure]) -> None:
        people = [erasure.user_id for erasure in erasures]
        held = await self._holdings.count(people)
        tasks = self._database.tables.erasure_tasks
        async with self._database.unit_of_work() as uow:
            for erasure in erasures:
                await self._reopen(uow, erasure)
                await self._participation.accept(uow, erasure)
                # The report counts what was there; the erasure below leaves nothing to count.
                counted = update(tasks).where(tasks.c.erasure_id == erasure.erasure_id)
                await uow.session.execute(counted.values(erased=held[erasure.user_id]))
        await self._holdings.erase(people)
        left = await self._holdings.count(people)
        if kinds := sorted({kind for found in left.values() for kind, number in found.items() if number}):
            raise ErasureIncomplete(f"still there: {', '.join(kinds)}")


def sweep_of(
    database: Database, holdings: Holdings[Any], participation: ErasureParticipation, reopen: Reopen | None
) -> Callable[[], Awaitable[None]]:
    """Return the sweep of one service's rows."""
    return Replay(database, holdings, participation, reopen or nothing_more).sweep
