"""Taking part in erasures: bury, inventory, erase, look again, report; resumed after any crash.

A service supplies a `Participant`; everything else is here. A report leaves only when a second look found
nothing, and what was there before is what the report counts.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Database, UnitOfWork
from chassis.faults import TransientFault, is_transient
from chassis.problems import describe
from contracts.participation import ErasureReported

LEASE_SECONDS = 30
AT_ONCE = 8
IDLE_POLL_SECONDS = 1.0
BACKOFF_SECONDS = (0.5, 60.0)

log = structlog.get_logger(__name__)


class Participant(Protocol):
    """What a service must be able to do with everything it holds of one person."""

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what is held now, by kind; the inventory before erasing and the proof after it."""

    async def erase(self, user_id: UUID) -> None:
        """Destroy all of it; must be harmless when repeated, and raise when something resisted."""


class ResidueLeft(TransientFault):
    """The second look found something; the erasure is tried again and is not reported."""


class LeaseLost(TransientFault):
    """The attempt took longer than its lease; somebody else works on the task now."""


@dataclass(frozen=True)
class OpenErasure:
    """An erasure that somebody asked for, as the coordinator lists it."""

    erasure_id: UUID
    user_id: UUID
    requested_at: datetime
    deadline: datetime


@dataclass(frozen=True)
class _Task:
    erasure_id: UUID
    user_id: UUID
    attempts: int
    erased: dict[str, int]


ListOpenErasures = Callable[[], Awaitable[list[OpenErasure]]]


class ErasureParticipation:
    """A service's part in every erasure."""

    def __init__(
        self, database: Database, participant: Participant, *, reported: type[ErasureReported]
    ) -> None:
        self._database = database
        self._participant = participant
        self._reported = reported
        self._wake = asyncio.Event()

    async def accept(self, uow: UnitOfWork, erasure: OpenErasure) -> None:
        """Take on an erasure in the caller's transaction: tombstone and task, once however often it is asked.

        An erasure that was reported already is reported again: whoever asks has not heard.
        """
        tasks = self._database.tables.erasure_tasks
        await uow.bury(erasure.user_id)
        await uow.session.execute(
            insert(tasks)
            .values(
                erasure_id=erasure.erasure_id,
                user_id=erasure.user_id,
                requested_at=erasure.requested_at,
                deadline=erasure.deadline,
            )
            .on_conflict_do_nothing()
        )
        done = await uow.session.execute(
            select(tasks.c.completed_at, tasks.c.erased).where(
                tasks.c.erasure_id == erasure.erasure_id, tasks.c.completed_at.is_not(None)
            )
        )
        for completed_at, erased in done:
            uow.publish(self._reported.of(erasure.erasure_id, completed_at=completed_at, erased=dict(erased)))
        uow.after_commit(self._wake.set)

    async def run(self) -> None:
        """Work on the open erasures until cancelled."""
        while True:
            self._wake.clear()
            try:
                worked = await self.work_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("erasure_work_interrupted", error=describe(error))
                worked = 0
            if worked == 0:
                await self._wait_for_work()

    async def work_once(self) -> int:
        """Claim the open erasures that are due and bring each to its end; return how many were claimed."""
        token = uuid4()
        tasks = await self._claim(token)
        await asyncio.gather(*(self._work_on(task, token) for task in tasks))
        return len(tasks)

    async def reconcile(self, list_open: ListOpenErasures) -> int:
        """Take on every erasure that the coordinator still waits for, whatever became of its event."""
        erasures = await list_open()
        for erasure in erasures:
            async with self._database.unit_of_work() as uow:
                await self.accept(uow, erasure)
        return len(erasures)

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(IDLE_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self, token: UUID) -> list[_Task]:
        tasks = self._database.tables.erasure_tasks
        now = func.clock_timestamp()
        due = (
            select(tasks.c.erasure_id)
            .where(
                tasks.c.completed_at.is_(None),
                tasks.c.next_attempt_at <= now,
                (tasks.c.lease_until.is_(None)) | (tasks.c.lease_until < now),
            )
            .order_by(tasks.c.next_attempt_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        claim = (
            update(tasks)
            .where(tasks.c.erasure_id.in_(due))
            .values(
                lease_token=token,
                lease_until=now + text(f"interval '{LEASE_SECONDS} seconds'"),
                attempts=tasks.c.attempts + 1,
            )
            .returning(tasks.c.erasure_id, tasks.c.user_id, tasks.c.attempts, tasks.c.erased)
        )
        async with self._database.unit_of_work() as uow:
            return [_Task(*row) for row in (await uow.session.execute(claim)).all()]

    async def _work_on(self, task: _Task, token: UUID) -> None:
        try:
            async with asyncio.timeout(LEASE_SECONDS - 5):
                await self._take_inventory(task, token)
                await self._participant.erase(task.user_id)
                await self._verify(task)
                await self._report(task, token)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task is tried again
            if not is_transient(error):
                log.error("erasure_attempt_failed", erasure_id=str(task.erasure_id), error=describe(error))
            else:
                log.warning(
                    "erasure_attempt_postponed", erasure_id=str(task.erasure_id), error=describe(error)
                )
            await self._postpone(task, token, error)

    async def _take_inventory(self, task: _Task, token: UUID) -> None:
        # What an earlier attempt already destroyed is not there to be counted again, so the highest count
        # of any attempt stands; it is saved before anything is destroyed.
        held = await self._participant.count(task.user_id)
        for kind, number in held.items():
            task.erased[kind] = max(number, task.erased.get(kind, 0))
        tasks = self._database.tables.erasure_tasks
        async with self._database.unit_of_work() as uow:
            ours = await uow.session.scalar(
                update(tasks)
                .where(tasks.c.erasure_id == task.erasure_id, tasks.c.lease_token == token)
                .values(erased=task.erased)
                .returning(tasks.c.erasure_id)
            )
        if ours is None:
            # Whoever holds the task now may not have counted yet: what is destroyed here would go uncounted.
            raise LeaseLost

    async def _verify(self, task: _Task) -> None:
        left = {
            kind: number for kind, number in (await self._participant.count(task.user_id)).items() if number
        }
        if left:
            raise ResidueLeft(f"still there: {', '.join(sorted(left))}")

    async def _report(self, task: _Task, token: UUID) -> None:
        tasks = self._database.tables.erasure_tasks
        completed_at = self._database.clock.now()
        async with self._database.unit_of_work() as uow:
            closed = await uow.session.scalar(
                update(tasks)
                .where(tasks.c.erasure_id == task.erasure_id, tasks.c.lease_token == token)
                .values(
                    completed_at=completed_at,
                    user_id=None,
                    lease_token=None,
                    lease_until=None,
                    last_error=None,
                )
                .returning(tasks.c.erasure_id)
            )
            if closed is not None:
                uow.publish(self._reported.of(task.erasure_id, completed_at=completed_at, erased=task.erased))

    async def _postpone(self, task: _Task, token: UUID, error: Exception) -> None:
        tasks = self._database.tables.erasure_tasks
        shortest, longest = BACKOFF_SECONDS
        seconds = min(shortest * 2 ** (task.attempts - 1), longest) * random.uniform(0.5, 1.5)  # noqa: S311
        try:
            async with self._database.unit_of_work() as uow:
                await uow.session.execute(
                    update(tasks)
                    .where(tasks.c.erasure_id == task.erasure_id, tasks.c.lease_token == token)
                    .values(
                        lease_token=None,
                        lease_until=None,
                        next_attempt_at=func.clock_timestamp() + text(f"interval '{seconds:.3f} seconds'"),
                        last_error=describe(error),
                    )
                )
        except Exception as trouble:
            if not is_transient(trouble):
                raise
            # The lease runs out by the database's clock and the task is claimed again then.
            log.warning("erasure_lease_kept", erasure_id=str(task.erasure_id), error=describe(trouble))
