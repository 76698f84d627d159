"""Work tables: rows that are work to do, claimed with a lease, worked on outside every transaction, settled.

A process that dies leaves a lease that runs out; one that is stopped releases at once what it did not finish.
Delivery is at least once: work must be harmless when it is repeated.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import FromClause

from chassis.db import Database
from chassis.faults import asked_to_stop, is_transient
from chassis.leases import Claimed, Depth, LeasedTable, LeaseLost, backoff
from chassis.pace import Pace
from chassis.problems import describe

__all__ = ["Claimed", "Depth", "LeaseLost", "WorkTable", "backoff"]

WORKERS = 8
IDLE_POLL_SECONDS = 1.0
DRAIN_SECONDS = 3.0
HOLD_SECONDS = (0.2, 2.0)

log = structlog.get_logger(__name__)

Work = Callable[[Claimed], Awaitable[None]]
BatchWork = Callable[[Sequence[Claimed]], Awaitable[None]]


class WorkTable(LeasedTable):
    """The engine of one work table; any number of processes may run it."""

    def __init__(self, database: Database, table: FromClause, **options: Any) -> None:
        """Take what `LeasedTable` takes."""
        super().__init__(database, table, **options)
        self._wake = database.notifications.event(self.table.name)
        self._turned_at = time.monotonic()

    def seconds_since_turn(self) -> float:
        """Return how long ago the workers last looked for what is due: a few seconds, unless they hang."""
        return time.monotonic() - self._turned_at

    async def work_once(self, work: Work, *, limit: int = WORKERS) -> int:
        """Claim what is due and bring each to its end; return how many rows were claimed."""
        claimed = await self.claim(limit)
        await self.attempt_each(claimed, work)
        return len(claimed)

    async def work_together_once(self, work: BatchWork, *, limit: int) -> int:
        """Claim what is due and bring it to its end as one batch; return how many rows were claimed."""
        claimed = await self.claim(limit)
        if claimed:
            await self._attempt(claimed, work)
        return len(claimed)

    async def attempt_each(self, claimed: Sequence[Claimed], work: Work) -> None:
        """Work on each of the rows, all at once: what fails postpones its own row only."""
        await asyncio.gather(*(self._attempt([each], _one_by_one(work)) for each in claimed))

    async def run(
        self, work: Work, *, workers: int = WORKERS, holds: tuple[type[Exception], ...] = ()
    ) -> None:
        """Work on what is due until cancelled; steadily, so that a slow row keeps only itself waiting.

        `work` settles its row; one that it neither settles nor postpones is due again when its lease ends.
        What `work` raises postpones its row. One of `holds` says that what all rows need is away: the row is
        released uncounted, and nothing is claimed for a moment.
        """
        await self.run_batches(_one_by_one(work), size=1, workers=workers, holds=holds)

    async def run_batches(
        self,
        work: BatchWork,
        *,
        size: int,
        workers: int = 1,
        holds: tuple[type[Exception], ...] = (),
        pace_seconds: float = 0.0,
    ) -> None:
        """Work on what is due until cancelled, at most `workers` batches of `size` rows at a time.

        Between two claims lie at least `pace_seconds`, unless the first of them found all that it could take.
        """
        pace, idle = Pace(pace_seconds), True
        running: dict[asyncio.Task[bool], list[Claimed]] = {}
        # What is just being claimed when we are stopped may be ours without our having heard of it.
        claiming, held = uuid4(), 0
        try:
            while True:
                if idle:
                    await pace.turn()
                self._wake.clear()
                self._turned_at = time.monotonic()
                claiming, free = uuid4(), (workers - len(running)) * size
                claimed = await self._claim_unless_away(free, claiming) if free else []
                if claimed is None:
                    held += 1
                elif not claimed and not running:
                    held = 0
                for batch in _batches(claimed or [], size):
                    running[asyncio.create_task(self._attempt(batch, work, holds))] = batch
                idle = len(claimed or []) < free
                await self._wait(running, seconds=_pause(held), idle=idle)
                for task in [task for task in running if task.done()]:
                    del running[task]
                    held = held + 1 if task.result() else 0
        finally:
            await self._drain(running, claiming)

    async def _claim_unless_away(self, limit: int, token: UUID) -> list[Claimed] | None:
        try:
            return await self.claim(limit, token=token)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("work_not_claimed", table=self.table.fullname, error=describe(error))
            return None

    async def _wait(
        self, running: dict[asyncio.Task[bool], list[Claimed]], *, seconds: float, idle: bool
    ) -> None:
        """Wait until there may be something to do: work that has ended, new work, or the next look."""
        if seconds:
            await asyncio.sleep(seconds)
            return
        waker = [asyncio.create_task(self._wake.wait())] if idle else []
        try:
            await asyncio.wait(
                [*running, *waker], timeout=IDLE_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in waker:
                task.cancel()

    async def _attempt(
        self, batch: Sequence[Claimed], work: BatchWork, holds: tuple[type[Exception], ...] = ()
    ) -> bool:
        """Work on a batch; True when what all rows need is away."""
        failure: BaseException
        try:
            # By the end of the lease somebody else has the row: we must have let go of it by then.
            async with asyncio.timeout(self.lease_seconds * 5 / 6):
                await work(batch)
                return False
        except asyncio.CancelledError as error:
            # A lost connection to the broker ends what waits for it with a cancellation as well.
            if asked_to_stop():
                raise
            failure = error
        except holds as error:
            log.warning("work_held", table=self.table.fullname, error=describe(error))
            await self.release(batch)
            return True
        except LeaseLost:
            log.warning("lease_lost", table=self.table.fullname)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows are tried again
            failure = error
        await self.give_back(batch, failure)
        return False

    async def give_back(self, batch: Sequence[Claimed], failure: BaseException) -> None:
        """Say in the log what has failed, and postpone the rows."""
        told = log.warning if is_transient(failure) else log.error
        for claimed in batch:
            key = ", ".join(map(str, claimed.key))
            told("work_postponed", table=self.table.fullname, key=key, error=describe(failure))
        await self.postpone(batch, failure)

    async def _drain(self, running: dict[asyncio.Task[bool], list[Claimed]], claiming: UUID) -> None:
        """Let what is under way end, for a moment; release what did not, and what was just being claimed."""
        if running:
            await asyncio.wait(running, timeout=DRAIN_SECONDS)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        tokens = {claimed.token for batch in running.values() for claimed in batch} | {claiming}
        await self.free(self.table.c.lease_token.in_(tokens))


def _one_by_one(work: Work) -> BatchWork:
    async def each(batch: Sequence[Claimed]) -> None:
        for claimed in batch:
            await work(claimed)

    return each


def _batches(claimed: list[Claimed], size: int) -> list[list[Claimed]]:
    return [claimed[start : start + size] for start in range(0, len(claimed), size)]


def _pause(held: int) -> float:
    shortest, longest = HOLD_SECONDS
    return backoff(held, shortest=shortest, longest=longest) if held else 0.0
