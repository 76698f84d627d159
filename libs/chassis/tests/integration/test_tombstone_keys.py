"""A newer key of tombstones stands beside the older ones: whoever was erased under one stays erased."""

import asyncio
import os
from datetime import timedelta

import pytest
from sqlalchemy import select

from chassis.ids import new_id
from chassis.known_keys import OVERLAP, WrongKey, check_keys
from chassis.problems import PersonErased
from chassis.subjects import lock_subjects
from chassis.tombstones import is_buried
from support import FrozenClock
from support.eventually import eventually

OLD, NEW = os.urandom(32), os.urandom(32)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def before(open_database, clock):
    """A process that knows the old key alone."""
    return open_database("consent", tombstone_key=OLD, clock=clock)


@pytest.fixture
async def after(open_database, clock, before):
    """One that hashes with the new key, beside it."""
    await check_keys(before)
    database = open_database("consent", tombstone_key=[NEW, OLD], clock=clock)
    await check_keys(database)
    return database


async def bury(database, user_id) -> None:
    async with database.unit_of_work() as uow:
        await uow.add_tombstone(user_id)


async def refused(database, user_id) -> list[bool]:
    """Tell by each way of asking whether somebody is erased."""
    async with database.unit_of_work() as uow:
        found = [await uow.is_erased(user_id)]
        found.append(user_id not in await lock_subjects(uow, database, [user_id]))
    async with database.read_only() as session:
        asked = {"person_hash": database.tombstone_keys.hashes(user_id)}
        found.append(await session.scalar(select(is_buried("consent")), asked))
    try:
        async with database.unit_of_work() as uow:
            await uow.lock_subject(user_id)
        found.append(False)
    except PersonErased:
        found.append(True)
    return found


async def test_whoever_was_erased_under_the_old_key_stays_erased(before, after) -> None:
    erased, living = new_id(), new_id()
    await bury(before, erased)
    assert set(await refused(after, erased)) == {True}
    assert set(await refused(after, living)) == {False}


async def test_a_process_with_the_old_key_alone_sees_whom_the_new_one_erases_for_a_while(
    before, after, clock, rows
) -> None:
    first, later = new_id(), new_id()
    await bury(after, first)
    assert set(await refused(before, first)) == {True}
    clock.advance(OVERLAP + timedelta(minutes=1))
    await bury(after, later)
    assert set(await refused(after, later)) == {True}
    stones = {row["subject_hash"] for row in await rows("consent.tombstones")}
    assert len(stones) == 3
    # From then on the old key leads to nobody new.
    assert before.person_hash(later) not in stones


async def test_an_erasure_with_the_new_key_waits_for_writers_with_the_old_one(before, after, scratch) -> None:
    person = new_id()

    async def somebody_waits() -> None:
        connection = await scratch.connect()
        try:
            waiting = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
        finally:
            await connection.close()
        assert waiting == 1

    async with before.unit_of_work() as writer:
        await writer.lock_subject(person)
        erasure = asyncio.create_task(bury(after, person))
        await eventually(somebody_waits)
        assert not erasure.done()
    await erasure


async def test_the_old_key_can_not_be_left_out(open_database, after) -> None:
    with pytest.raises(WrongKey, match="CONSENT_TOMBSTONE_KEY"):
        await check_keys(open_database("consent", tombstone_key=NEW))


async def test_nobody_goes_back_to_the_old_key_alone(open_database, after) -> None:
    with pytest.raises(WrongKey, match="missing"):
        await check_keys(open_database("consent", tombstone_key=OLD))


async def test_secrets_of_other_purposes_stay_what_they_are(before, after) -> None:
    assert before.subkey("a purpose") == after.subkey("a purpose")
    assert before.person_hash(new_id()) != after.person_hash(new_id())
