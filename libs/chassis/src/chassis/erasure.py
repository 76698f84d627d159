"""Taking part in erasures: bury, inventory, erase, look again, report; resumed after any crash.

A service declares its holdings; everything else is here. A report leaves only when a second look found
nothing but what is held by law, and what was there before is what the report counts. A task with such a rest
stays open, and is worked on again when the coordinator says that its holds have changed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, ColumnElement, Table, Text, any_, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.db import Database, UnitOfWork
from chassis.driver import statements_of
from chassis.erasure_tasks import again_if_held
from chassis.faults import TransientFault
from chassis.holdings import Holdings, beyond
from chassis.holds import Hold, documents, in_force
from chassis.prepared import Prepared
from chassis.problems import describe
from chassis.work_table import Claimed, WorkTable
from contracts.envelope import subject_of
from contracts.participation import ErasureReported

BACKOFF_SECONDS = (0.5, 60.0)
BATCH = 16
WORKERS = 2

log = structlog.get_logger(__name__)


class ErasureIncomplete(TransientFault):
    """The second look found something; the erasure is tried again and is not reported."""


@dataclass(frozen=True)
class OpenErasure:
    """An erasure that somebody asked for, as the coordinator lists it."""

    erasure_id: UUID
    user_id: UUID
    requested_at: datetime
    deadline: datetime
    holds: tuple[Hold, ...] = ()
    holds_version: int = 0


@dataclass(frozen=True)
class Inventory:
    """How much of each kind is held of a person, and under which laws they are."""

    erased: Mapping[str, int]
    regimes: Sequence[str]


Regimes = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Sequence[str]]]]
"""Tells under which laws people are, for whom that is known: codes of the jurisdiction table."""
Deadline = Callable[[Sequence[str], datetime], datetime | None]
"""Tells by when laws want a request of that moment to be answered; None where none of them says."""
ListOpenErasures = Callable[[], Awaitable[list[OpenErasure]]]
Keep = Callable[[], Awaitable[None]]
"""Brings every tombstone into the erasure journal; raises when it could not."""


class ErasureParticipation:
    """A service's part in every erasure."""

    def __init__(
        self,
        database: Database,
        holdings: Holdings[Any],
        *,
        reported: type[ErasureReported],
        ready: ColumnElement[bool] | None = None,
        keep: Sequence[Keep] = (),
        regimes: Regimes | None = None,
        deadline: Deadline | None = None,
        key_providers: Sequence[str] = (),
    ) -> None:
        """`ready` tells the tasks whose erasure may begin, all unless given; `keep` comes before a report.

        `regimes` tells under which laws people are, `deadline` by when these want an answer; `key_providers`
        wrap the data keys that are held here.
        """
        self._database, self._holdings, self._keep = database, holdings, keep
        self._regimes, self._deadline, self._key_providers = regimes, deadline, tuple(key_providers)
        self._reported = reported
        tasks = database.tables.erasure_tasks
        self._tasks = WorkTable(
            database,
            tasks,
            open_rows=tasks.c.completed_at.is_(None) & tasks.c.held_at.is_(None),
            since=tasks.c.requested_at,
            ready=ready,
            backoff_seconds=BACKOFF_SECONDS,
        )
        # Building a statement costs more than running it: these are built once.
        asked = {name: bindparam(name, type_=tasks.c[name].type) for name in OpenErasure.__annotations__}
        added = again_if_held(insert(tasks).values(asked)).cte("added")
        self._accept = (
            select(tasks.c.completed_at, tasks.c.erased, tasks.c.regimes)
            .where(tasks.c.erasure_id == asked["erasure_id"], tasks.c.completed_at.is_not(None))
            .add_cte(added)
        )
        self._waiting = _announced_about(database.tables.outbox)

    async def accept(self, uow: UnitOfWork, erasure: OpenErasure) -> None:
        """Take on an erasure in the caller's transaction: tombstone and task, once however often it is asked.

        An erasure that was reported already is reported again: whoever asks has not heard. One that something
        is held of is worked on again, under the holds that are said now.
        """
        tasks = self._database.tables.erasure_tasks
        await uow.add_tombstone(erasure.user_id, erasure_id=erasure.erasure_id)
        asked = {**vars(erasure), "holds": documents(erasure.holds)}
        done = await uow.session.execute(self._accept, asked)
        for completed_at, erased, regimes in done:
            uow.publish(
                self._reported.of(
                    erasure.erasure_id,
                    completed_at=completed_at,
                    erased=dict(erased),
                    regimes=regimes,
                    key_providers=self._key_providers,
                    deadline=self._due(regimes, erasure.requested_at),
                )
            )
        uow.wake(tasks.name)

    async def run(self) -> None:
        """Work on the open erasures until cancelled."""
        await self._tasks.run_batches(self._work_on, size=BATCH, workers=WORKERS)

    async def work_once(self) -> int:
        """Claim the open erasures that are due and bring each to its end; return how many were claimed."""
        return await self._tasks.work_together_once(self._work_on, limit=BATCH)

    async def reconcile(self, list_open: ListOpenErasures) -> int:
        """Take on every erasure that the coordinator still waits for, whatever became of its event."""
        erasures = await list_open()
        for erasure in erasures:
            async with self._database.unit_of_work() as uow:
                await self.accept(uow, erasure)
        return len(erasures)

    async def _work_on(self, batch: Sequence[Claimed]) -> None:
        """Erase together whom nothing is known against; who has failed before, or is held of, goes alone."""
        alone = [claimed for claimed in batch if _goes_alone(claimed)]
        if fresh := [claimed for claimed in batch if not _goes_alone(claimed)]:
            try:
                await self._erase(fresh)
            except Exception as error:
                if len(batch) == 1:
                    raise
                log.warning("erasures_go_on_alone", erasures=len(fresh), error=describe(error))
                alone += fresh
        if len(batch) == 1 and alone:
            await self._erase(alone)
        else:
            await self._tasks.attempt_each(alone, self._erase_alone)

    async def _erase_alone(self, claimed: Claimed) -> None:
        await self._erase([claimed])

    async def _erase(self, batch: Sequence[Claimed]) -> None:
        counted = await self._take_inventory(batch)
        people = [claimed.row.user_id for claimed in batch]
        now = self._database.clock.now()
        holds = {each.row.user_id: held for each in batch if (held := in_force(each.row.holds, now))}
        found = {claimed.row.user_id: counted[claimed.row.erasure_id].erased for claimed in batch}
        await self._holdings.erase_all_but(people, holds, found)
        for keep in self._keep:
            # Nothing is reported as erased that a backup could bring back unnoticed.
            await keep()
        kept = await self._holdings.kept(holds)
        left = await self._left_of(people, kept)
        done = [claimed for claimed in batch if claimed.row.user_id not in left]
        await self._report([each for each in done if not kept.get(each.row.user_id)], counted)
        for each in done:
            if rest := kept.get(each.row.user_id):
                await self._report_held(each, counted, rest)
        for claimed in batch:
            if kinds := left.get(claimed.row.user_id):
                await self._tasks.give_back([claimed], ErasureIncomplete(f"still there: {', '.join(kinds)}"))

    async def _take_inventory(self, batch: Sequence[Claimed]) -> dict[UUID, Inventory]:
        # What an earlier attempt already destroyed is not there to be counted again, so the highest count
        # of any attempt stands; it is saved before anything is destroyed.
        people = [claimed.row.user_id for claimed in batch]
        held = await self._holdings.count(people)
        laws = {} if self._regimes is None else await self._regimes(people)
        counted = {
            claimed.row.erasure_id: Inventory(
                _highest(claimed.row.erased, held[claimed.row.user_id]),
                sorted({*claimed.row.regimes, *laws.get(claimed.row.user_id, ())}),
            )
            for claimed in batch
        }
        async with self._database.one_statement() as session:
            # Whoever else holds a task may not have counted yet: what is destroyed here would go uncounted.
            erased = self._of_each({key: it.erased for key, it in counted.items()})
            regimes = self._of_each({key: it.regimes for key, it in counted.items()})
            await self._tasks.keep_all(session, batch, erased=erased, regimes=regimes)
        return counted

    def _of_each(self, values: Mapping[UUID, Any]) -> ColumnElement[Any]:
        """Return what gives each task its own of these values, as JSON."""
        every = literal({str(erasure_id): value for erasure_id, value in values.items()}, JSONB)
        return func.jsonb_extract_path(every, cast(self._tasks.table.c.erasure_id, Text))

    async def _left_of(
        self, people: Sequence[UUID], kept: Mapping[UUID, Mapping[str, int]]
    ) -> dict[UUID, list[str]]:
        """Look again: return what is still there and not kept, of whom anything is."""
        left = beyond(await self._holdings.count(people), kept)
        # What was announced about a person names them until the broker has taken it.
        for user_id in await self._announced(people):
            left.setdefault(user_id, []).append("outbox")
        return left

    async def _announced(self, people: Sequence[UUID]) -> list[UUID]:
        """Return about whom something waits in the outbox."""
        subjects = {subject_of(user_id): user_id for user_id in people}
        async with self._database.read_only() as session:
            found = await statements_of(session).fetch(self._waiting, {"subjects": list(subjects)})
            return [subjects[row["subject"]] for row in found]

    async def _report(self, batch: Sequence[Claimed], counted: dict[UUID, Inventory]) -> None:
        if not batch:
            return
        completed_at = self._database.clock.now()
        async with self._database.unit_of_work() as uow:
            ended = await self._tasks.settle_all(
                uow.session, batch, completed_at=completed_at, user_id=None, last_error=None
            )
            for claimed in ended:
                found = counted[claimed.row.erasure_id]
                uow.publish(self._said(claimed, found, completed_at, erased=dict(found.erased)))

    async def _report_held(
        self,
        claimed: Claimed,
        counted: Mapping[UUID, Inventory],
        kept: Mapping[str, int],
    ) -> None:
        """Say that all is erased but what holds keep; whoever has changed these has taken the lease."""
        at, found = self._database.clock.now(), counted[claimed.row.erasure_id]
        erased = {kind: number - kept.get(kind, 0) for kind, number in found.erased.items()}
        async with self._database.unit_of_work() as uow:
            if await self._tasks.settle_all(uow.session, [claimed], held_at=at, last_error=None):
                uow.publish(
                    self._said(
                        claimed,
                        found,
                        at,
                        erased=erased,
                        held=dict(kept),
                        holds_version=claimed.row.holds_version,
                    )
                )

    def _said(self, claimed: Claimed, found: Inventory, at: datetime, **said: Any) -> ErasureReported:
        return self._reported.of(
            claimed.row.erasure_id,
            completed_at=at,
            regimes=found.regimes,
            key_providers=self._key_providers,
            deadline=self._due(found.regimes, claimed.row.requested_at),
            **said,
        )

    def _due(self, regimes: Sequence[str], requested_at: datetime) -> datetime | None:
        return None if self._deadline is None else self._deadline(regimes, requested_at)


def _announced_about(outbox: Table) -> Prepared:
    """Return what finds about whom something waits in the outbox."""
    subjects = bindparam("subjects", type_=ARRAY(Text))
    return Prepared(select(outbox.c.subject).distinct().where(outbox.c.subject == any_(subjects)))


def _goes_alone(claimed: Claimed) -> bool:
    return bool(claimed.row.attempts or claimed.row.holds)


def _highest(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {**before, **{kind: max(number, before.get(kind, 0)) for kind, number in now.items()}}
