"""What each path of the chassis costs in round trips to PostgreSQL; docs/architecture.md has the table."""

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import Response
from sqlalchemy import insert, text

from chassis.consumer import Consumer, Inbound, Outcome
from chassis.db import Database
from chassis.deliveries import TOGETHER
from chassis.handling import Handling
from chassis.idempotency import Idempotency
from chassis.ids import new_id
from chassis.relay import Relay
from chassis.work_table import WorkTable
from contracts.identity import UserDeleted


@dataclass(frozen=True)
class Paths:
    """The paths of the chassis, on one schema."""

    database: Database
    an_event: Any
    body_of: Any
    chores: WorkTable

    async def nothing(self):
        async with self.database.unit_of_work():
            pass

    async def read(self):
        async with self.database.read_only() as session:
            await session.execute(text("SELECT 1"))

    async def announce(self):
        async with self.database.unit_of_work() as uow:
            uow.publish(self.an_event())

    async def write_about_a_person(self):
        async with self.database.unit_of_work() as uow:
            await uow.lock_subject(new_id())
            await uow.session.execute(text("INSERT INTO consent.effects VALUES (gen_random_uuid(), '')"))
            uow.publish(self.an_event())

    async def write_with_an_idempotency_key(self):
        async def handle():
            await self.write_about_a_person()
            return Response(b"written", status_code=201)

        await Idempotency(self.database).once(str(new_id()), ("anybody",), "digest", handle)

    async def absorb(self):
        body = self.body_of(self.an_event())
        assert (
            await Inbound(self.database, Consumer("q", {UserDeleted: self._act})).process(body)
            is Outcome.DONE
        )

    async def absorb_together(self):
        handling = Handling(self.database, Consumer("q", {UserDeleted: self._act}))
        events = [handling.read(self.body_of(self.an_event()), None) for _ in range(TOGETHER)]
        await handling.act([(event, False) for event in events])

    async def _act(self, uow, envelope):
        await uow.lock_subject(envelope.data.user_id)
        await uow.session.execute(text("INSERT INTO consent.effects VALUES (gen_random_uuid(), '')"))

    async def relay(self):
        assert await Relay(self.database, Publisher()).relay_once()

    async def claim_in_vain(self):
        assert await self.chores.claim(8) == []

    async def work(self):
        assert await self.chores.work_once(self._settle) == 1

    async def _settle(self, claimed):
        async with self.database.unit_of_work() as uow:
            await self.chores.settle(uow.session, claimed)


class Publisher:
    """Confirms everything."""

    async def publish(self, message):
        """Take it."""

    async def is_connected(self):
        return True


@pytest.fixture
def paths(scratch, round_trips, open_database, an_event, body_of, chores_table):
    database = open_database("consent", pool_size=1, url=round_trips.way(scratch.url()))
    return Paths(database, an_event, body_of, WorkTable(database, chores_table))


async def a_chore(paths):
    async with paths.database.unit_of_work() as uow:
        await uow.session.execute(insert(paths.chores.table).values(kind="k", number=1))


async def an_outbox_of_fifty(paths):
    async with paths.database.unit_of_work() as uow:
        for _ in range(50):
            uow.publish(paths.an_event())


BUDGETS = {
    "nothing": (0, None),
    "read": (1, None),
    "announce": (1, None),
    "write_about_a_person": (3, None),
    "write_with_an_idempotency_key": (6, None),
    "absorb": (4, None),
    "absorb_together": (2 + 2 * TOGETHER, None),
    "relay": (2, an_outbox_of_fifty),
    "claim_in_vain": (1, None),
    "work": (4, a_chore),
}


@pytest.mark.parametrize("path", BUDGETS)
async def test_a_path_takes_no_more_round_trips_than_budgeted(path, paths, round_trips):
    budget, prepare = BUDGETS[path]
    # The first time prepares the statements of a connection.
    for _ in range(2):
        if prepare:
            await prepare(paths)
        with round_trips.within(1_000) as taken:
            await getattr(paths, path)()
    assert len(taken) <= budget, "\n".join(taken)
