"""Ask processors outside of the platform to erase people, until each has reported that it has."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from chassis.db import Database, UnitOfWork
from chassis.work_table import Claimed, WorkTable
from contracts.participation import ErasureReported
from identity.erasure.processors import HeldThing, ProcessorClient, ProcessorNotDone, RequestToErase
from identity.repositories import PROCESSOR_REQUESTS, UNSETTLED_REQUESTS, Erasures, Holds

LEASE_SECONDS = 30.0
BACKOFF_SECONDS = (5.0, 3600.0)
WORKERS = 4

Collect = Callable[[UnitOfWork, ErasureReported], Awaitable[None]]
"""What records a report in a transaction, as for a service of the platform."""


class ProcessorDelivery:
    """Works on the requests to processors; any number of processes may run it."""

    def __init__(self, database: Database, client: ProcessorClient, *, collect: Collect) -> None:
        self._database = database
        self._client = client
        self._collect = collect
        self._requests = WorkTable(
            database,
            PROCESSOR_REQUESTS,
            open_rows=UNSETTLED_REQUESTS,
            since=PROCESSOR_REQUESTS.c.requested_at,
            lease_seconds=LEASE_SECONDS,
            backoff_seconds=BACKOFF_SECONDS,
        )

    async def run(self) -> None:
        """Ask whoever is due until cancelled; nobody is ever given up."""
        await self._requests.run(self._ask, workers=WORKERS)

    async def work_once(self) -> int:
        """Ask whoever is due, once; return how many that were."""
        return await self._requests.work_once(self._ask, limit=WORKERS)

    async def check(self) -> str | None:
        """Tell how many have not reported, and for how long the oldest has not."""
        return (await self._requests.depth()).words

    async def _ask(self, claimed: Claimed) -> None:
        row = claimed.row
        async with self._database.read_only() as session:
            # Before the holds: of a change between the two the report is not believed.
            version = await Erasures(session).holds_version(row.erasure_id)
            held = await Holds(session).in_force_about(row.user_id)
        holds = tuple(HeldThing(it.id, it.service, it.kind, it.record, it.code, it.expires_at) for it in held)
        request = RequestToErase(row.erasure_id, row.user_id, row.requested_at, row.deadline, holds)
        try:
            said = await self._client.ask(
                row.processor, request, now=self._database.clock.now(), nonce=str(uuid4())
            )
        except ProcessorNotDone as fault:
            await self._requests.postpone(claimed, str(fault))
            return
        now = self._database.clock.now()
        async with self._database.unit_of_work() as uow:
            # In the order in which everybody locks: the erasure before what hangs on it.
            kept = {kind: number for kind, number in said.held.items() if number}
            report = ErasureReported.by(row.processor).of(
                row.erasure_id,
                completed_at=now,
                erased=dict(said.erased),
                held=kept,
                holds_version=version,
            )
            await self._collect(uow, report)
            if kept:
                # Asked again when the first of them ends by itself; what ends or begins earlier makes it due.
                same = await Erasures(uow.session).holds_version(row.erasure_id) == version
                again = min(it.expires_at for it in holds) if same else now
                ends: dict[str, Any] = {"next_attempt_at": again, "attempts": 0}
            else:
                ends = {"settled_at": now, "user_id": None}
            await self._requests.settle(uow.session, claimed, **ends, last_error=None)
