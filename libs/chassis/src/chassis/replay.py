"""After a restore: erase whoever the restored rows hold although the erasure journal has their tombstone.

It happens before the service opens, by the same erasure and the same second look as ever; the report follows
when the service is open again, because what was announced about the person must leave the outbox first.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from chassis.db import Database, UnitOfWork
from chassis.erasure import ErasureIncomplete, ErasureParticipation, OpenErasure
from chassis.holdings import Holdings, beyond
from chassis.holds import Hold, ListHolds, documents
from chassis.ids import new_id

LOOKED_AT = 1000
ERASED_AT_ONCE = 64

Reopen = Callable[[UnitOfWork, OpenErasure], Awaitable[None]]
"""What a service does beside its own part when an erasure is begun again."""


async def nothing_more(_uow: UnitOfWork, _erasure: OpenErasure) -> None:
    """Do nothing: the erasure is the coordinator's, who has its own journal."""


async def no_holds() -> Mapping[UUID, Sequence[Hold]]:
    """Return none: nothing that the service has can be held."""
    return {}


class Replay:
    """The sweep of one service's rows; harmless when repeated."""

    def __init__(
        self,
        database: Database,
        holdings: Holdings[Any],
        participation: ErasureParticipation,
        reopen: Reopen = nothing_more,
        holds: ListHolds = no_holds,
    ) -> None:
        """Take what asks the coordinator for `holds`: the restored rows may know of others."""
        self._database = database
        self._holdings = holdings
        self._participation = participation
        self._reopen = reopen
        self._holds = holds

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
        if not rows:
            return []
        now, standing = self._database.clock.now(), await self._holds()
        # Who has two tombstones is one person.
        buried = {named[digest]: (erasure, at) for digest, erasure, at in rows}
        erasures = []
        for user_id, (erasure, at) in buried.items():
            holds = tuple(hold for hold in standing.get(user_id, ()) if hold.expires_at > now)
            erasures.append(OpenErasure(erasure or new_id(), user_id, at, now, holds))
        return erasures

    async def _erase(self, erasures: Sequence[OpenErasure]) -> None:
        people = [erasure.user_id for erasure in erasures]
        held = await self._holdings.count(people)
        tasks = self._database.tables.erasure_tasks
        async with self._database.unit_of_work() as uow:
            for erasure in erasures:
                await self._reopen(uow, erasure)
                await self._participation.accept(uow, erasure)
                # The report counts what was there; the erasure below leaves nothing to count. What is held is
                # what the coordinator has said just now, whatever the restored rows know.
                counted = update(tasks).where(tasks.c.erasure_id == erasure.erasure_id)
                known = {"erased": held[erasure.user_id], "holds": documents(erasure.holds)}
                await uow.session.execute(counted.values(known))
        holds = {erasure.user_id: erasure.holds for erasure in erasures if erasure.holds}
        await self._holdings.erase_all_but(people, holds, held)
        left, kept = await self._holdings.count(people), await self._holdings.kept(holds)
        if kinds := sorted({kind for found in beyond(left, kept).values() for kind in found}):
            raise ErasureIncomplete(f"still there: {', '.join(kinds)}")


def sweep_of(
    database: Database,
    holdings: Holdings[Any],
    participation: ErasureParticipation,
    reopen: Reopen | None,
    holds: ListHolds | None = None,
) -> Callable[[], Awaitable[None]]:
    """Return the sweep of one service's rows."""
    return Replay(database, holdings, participation, reopen or nothing_more, holds or no_holds).sweep
