"""Taking part in erasures: bury, inventory, erase, look again, report; resumed after any crash.

A service declares its holdings; everything else is here. A report leaves only when a second look found
nothing, and what was there before is what the report counts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Database, UnitOfWork
from chassis.faults import TransientFault
from chassis.holdings import Holdings
from chassis.work_table import Claimed, WorkTable
from contracts.envelope import subject_of
from contracts.participation import ErasureReported

BACKOFF_SECONDS = (0.5, 60.0)


class ErasureIncomplete(TransientFault):
    """The second look found something; the erasure is tried again and is not reported."""


@dataclass(frozen=True)
class OpenErasure:
    """An erasure that somebody asked for, as the coordinator lists it."""

    erasure_id: UUID
    user_id: UUID
    requested_at: datetime
    deadline: datetime


ListOpenErasures = Callable[[], Awaitable[list[OpenErasure]]]


class ErasureParticipation:
    """A service's part in every erasure."""

    def __init__(
        self, database: Database, holdings: Holdings[Any], *, reported: type[ErasureReported]
    ) -> None:
        self._database = database
        self._holdings = holdings
        self._reported = reported
        tasks = database.tables.erasure_tasks
        self._tasks = WorkTable(
            database,
            tasks,
            open_rows=tasks.c.completed_at.is_(None),
            since=tasks.c.requested_at,
            backoff_seconds=BACKOFF_SECONDS,
        )
        # Building a statement costs more than running it: these are built once.
        asked = {name: bindparam(name, type_=tasks.c[name].type) for name in OpenErasure.__annotations__}
        added = insert(tasks).values(asked).on_conflict_do_nothing().cte("added")
        self._accept = (
            select(tasks.c.completed_at, tasks.c.erased)
            .where(tasks.c.erasure_id == asked["erasure_id"], tasks.c.completed_at.is_not(None))
            .add_cte(added)
        )
        outbox = database.tables.outbox
        self._waiting = select(func.count()).where(outbox.c.subject == bindparam("subject"))

    async def accept(self, uow: UnitOfWork, erasure: OpenErasure) -> None:
        """Take on an erasure in the caller's transaction: tombstone and task, once however often it is asked.

        An erasure that was reported already is reported again: whoever asks has not heard.
        """
        tasks = self._database.tables.erasure_tasks
        await uow.add_tombstone(erasure.user_id)
        done = await uow.session.execute(self._accept, asdict(erasure))
        for completed_at, erased in done:
            uow.publish(self._reported.of(erasure.erasure_id, completed_at=completed_at, erased=dict(erased)))
        uow.wake(tasks.name)

    async def run(self) -> None:
        """Work on the open erasures until cancelled."""
        await self._tasks.run(self._work_on)

    async def work_once(self) -> int:
        """Claim the open erasures that are due and bring each to its end; return how many were claimed."""
        return await self._tasks.work_once(self._work_on)

    async def reconcile(self, list_open: ListOpenErasures) -> int:
        """Take on every erasure that the coordinator still waits for, whatever became of its event."""
        erasures = await list_open()
        for erasure in erasures:
            async with self._database.unit_of_work() as uow:
                await self.accept(uow, erasure)
        return len(erasures)

    async def _work_on(self, claimed: Claimed) -> None:
        erased = dict(claimed.row.erased)
        await self._take_inventory(claimed, erased)
        await self._holdings.erase(claimed.row.user_id)
        await self._verify(claimed.row.user_id)
        await self._report(claimed, erased)

    async def _take_inventory(self, claimed: Claimed, erased: dict[str, int]) -> None:
        # What an earlier attempt already destroyed is not there to be counted again, so the highest count
        # of any attempt stands; it is saved before anything is destroyed.
        for kind, number in (await self._holdings.count(claimed.row.user_id)).items():
            erased[kind] = max(number, erased.get(kind, 0))
        async with self._database.one_statement() as session:
            # Whoever else holds the task may not have counted yet: what is destroyed here would go uncounted.
            await self._tasks.keep(session, claimed, erased=erased)

    async def _verify(self, user_id: UUID) -> None:
        left = {kind: number for kind, number in (await self._holdings.count(user_id)).items() if number}
        # What was announced about the person names them until the broker has taken it.
        if waiting := await self._announced(user_id):
            left["outbox"] = waiting
        if left:
            raise ErasureIncomplete(f"still there: {', '.join(sorted(left))}")

    async def _announced(self, user_id: UUID) -> int:
        async with self._database.read_only() as session:
            return int(await session.scalar(self._waiting, {"subject": subject_of(user_id)}) or 0)

    async def _report(self, claimed: Claimed, erased: dict[str, int]) -> None:
        completed_at = self._database.clock.now()
        async with self._database.unit_of_work() as uow:
            await self._tasks.settle(
                uow.session, claimed, completed_at=completed_at, user_id=None, last_error=None
            )
            uow.publish(self._reported.of(claimed.row.erasure_id, completed_at=completed_at, erased=erased))
