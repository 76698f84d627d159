"""Units of work of one request that commit together."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chassis.ids import new_id
from chassis.request_transaction import RequestTransaction
from contracts.fields import MailKind
from contracts.identity import MailRequested


async def nothing(_connection):
    """Do nothing at the beginning."""


@pytest.fixture
def shared(sender):
    return RequestTransaction(sender, on_begin=nothing)


async def write(uow):
    await uow.session.execute(text("INSERT INTO identity.effects VALUES (:id, 'x')"), {"id": new_id()})


async def test_units_of_work_commit_together_with_their_events_and_wake_ups(sender, shared, an_event, rows):
    woken = []
    async with shared:
        for number in range(3):
            async with sender.unit_of_work() as uow:
                uow.publish(an_event())
                uow.after_commit(lambda number=number: woken.append(number))
                await write(uow)
        assert (woken, await rows("identity.effects"), await rows("identity.outbox")) == ([], [], [])
        await shared.commit()
        assert woken == [0, 1, 2]
    assert (len(await rows("identity.effects")), len(await rows("identity.outbox"))) == (3, 3)


async def test_a_deprecated_event_is_announced_by_nobody(sender, shared, rows):
    mail = MailRequested(mail_id=new_id(), kind=MailKind.VERIFY_ADDRESS)
    async with shared:
        async with sender.unit_of_work() as uow:
            with pytest.raises(TypeError, match="deprecated"):
                uow.publish(mail)
        await shared.commit()
    assert await rows("identity.outbox") == []


async def test_without_a_commit_nothing_is_left(sender, shared, rows):
    async with shared:
        async with sender.unit_of_work() as uow:
            await write(uow)
        await sender.when_durable(lambda: pytest.fail("nothing is durable"))
    assert await rows("identity.effects") == []
    assert sender.engine.pool.checkedout() == 0


async def test_wake_up_of_a_unit_of_work_that_only_read_does_not_wait(sender, shared):
    woken = []
    async with shared:
        async with sender.unit_of_work() as uow:
            await uow.session.execute(text("SELECT 1"))
            uow.after_commit(lambda: woken.append("now"))
        assert woken == ["now"]


async def test_row_that_is_locked_stays_locked_until_the_commit(sender, shared, hearer):
    async with sender.unit_of_work() as uow:
        await write(uow)
    look = text("SELECT event_id FROM identity.effects FOR UPDATE SKIP LOCKED")
    async with shared:
        async with sender.unit_of_work() as uow:
            assert len((await uow.session.execute(look)).all()) == 1
        async with hearer.unit_of_work() as other:
            assert (await other.session.execute(look)).all() == []
        await shared.commit()
    async with hearer.unit_of_work() as other:
        assert len((await other.session.execute(look)).all()) == 1


async def test_other_database_is_not_joined(sender, hearer, shared, rows, an_event):
    async with shared, hearer.unit_of_work() as uow:
        uow.publish(an_event())
    assert len(await rows("consent.outbox")) == 1


async def test_two_units_of_work_at_once_are_refused(sender, shared):
    async with shared, sender.unit_of_work():
        with pytest.raises(RuntimeError, match="one by one"):
            async with sender.unit_of_work():
                pytest.fail("two at once on one connection")


async def test_task_that_outlives_the_request_has_transactions_of_its_own(sender, shared, rows):
    over = asyncio.Event()

    async def late():
        await over.wait()
        async with sender.unit_of_work() as uow:
            await write(uow)

    async with shared:
        task = asyncio.create_task(late())
    over.set()
    await task
    assert len(await rows("identity.effects")) == 1


async def test_reading_sees_what_the_request_has_written(sender, shared):
    async with shared:
        async with sender.unit_of_work() as uow:
            await write(uow)
        async with sender.read_only() as session:
            assert await session.scalar(text("SELECT count(*) FROM identity.effects")) == 1


async def test_first_unit_of_work_that_fails_at_its_end_leaves_a_transaction_to_those_after_it(
    sender, shared, an_event, rows
):
    async def fail_at_the_end():
        async with sender.unit_of_work() as uow:
            await write(uow)
            uow.publish(an_event())
            uow.before_commit.append("SELECT 1 / 0")

    async with shared:
        with pytest.raises(DBAPIError):
            await fail_at_the_end()
        async with sender.unit_of_work() as uow:
            await write(uow)
        assert await rows("identity.effects") == []
        await shared.commit()
    assert (len(await rows("identity.effects")), await rows("identity.outbox")) == (1, [])
