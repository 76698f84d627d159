"""Transfers: bounds on a person's share and on the bytes in memory, and on how long one waits for them."""

import asyncio
from uuid import UUID, uuid4

import pytest

from storage.attempts import Attempts
from storage.policy import TooBusy, UploadOvertaken
from storage.transfers import UNIT_BYTES, MadeRoom, Transfers

ADA, GRACE = uuid4(), uuid4()


def transfers(units: int = 4, per_person: int = 1, wait_seconds: float = 0.01) -> Transfers:
    return Transfers(memory_bytes=units * UNIT_BYTES, per_person=per_person, wait_seconds=wait_seconds)


async def slow(shared: Transfers, person: UUID, course: list[str], *, ready: asyncio.Event) -> None:
    """Hold one unit and wait for a client who does nothing."""
    async with shared.of(person) as memory:
        await memory.grow(UNIT_BYTES)
        try:
            async with memory.client_turn():
                ready.set()
                await asyncio.Event().wait()
        except MadeRoom:
            course.append("ended")


async def test_who_moves_nothing_makes_room_for_who_needs_it() -> None:
    shared, course, ready = transfers(units=1, wait_seconds=30), [], asyncio.Event()
    holder = asyncio.create_task(slow(shared, ADA, course, ready=ready))
    await ready.wait()
    async with shared.of(GRACE) as memory:
        await memory.grow(UNIT_BYTES)
        await holder
    assert course == ["ended"]


async def test_what_is_given_back_is_free_for_others_at_once() -> None:
    shared = transfers(units=4)

    async def free(units: int) -> bool:
        async with shared.of(GRACE) as other:
            try:
                await other.grow(units * UNIT_BYTES)
            except TooBusy:
                return False
            return True

    async with shared.of(ADA) as holder:
        await holder.grow(4 * UNIT_BYTES)
        assert not await free(1)
        holder.shrink(3 * UNIT_BYTES - 1)
        assert [await free(2), await free(3)] == [True, False]
        holder.shrink(1)
        assert [await free(3), await free(4)] == [True, False]
    assert await free(4)


async def test_only_the_slowest_makes_room() -> None:
    shared, course, ready = transfers(units=2, wait_seconds=30), [], asyncio.Event()
    holder = asyncio.create_task(slow(shared, ADA, course, ready=ready))
    await ready.wait()
    async with shared.of(uuid4()) as faster:
        await faster.grow(UNIT_BYTES)
        faster.moved(10**9)
        async with faster.client_turn(), shared.of(GRACE) as memory:
            await memory.grow(UNIT_BYTES)
    await holder
    assert course == ["ended"]


async def test_nobody_makes_room_where_there_is_room_or_while_it_is_our_turn() -> None:
    shared, course, ready = transfers(units=2), [], asyncio.Event()
    holder = asyncio.create_task(slow(shared, ADA, course, ready=ready))
    await ready.wait()
    async with shared.of(GRACE) as memory:
        await memory.grow(UNIT_BYTES)
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    async with shared.of(ADA) as ours:
        await ours.grow(2 * UNIT_BYTES)
        with pytest.raises(TooBusy):
            async with shared.of(GRACE) as memory:
                await memory.grow(1)
    assert course == []


async def test_who_has_their_share_under_way_waits_for_nobody_but_themselves() -> None:
    shared = transfers()
    async with shared.of(ADA):
        with pytest.raises(TooBusy):
            async with shared.of(ADA):
                pytest.fail("more than the share of one person")
        async with shared.of(GRACE):
            pass
    async with shared.of(ADA):
        pass


async def test_connections_hold_no_memory_before_their_bytes_are_there() -> None:
    shared = transfers(units=2, per_person=100)
    async with shared.of(ADA), shared.of(ADA), shared.of(ADA), shared.of(GRACE) as memory:
        await memory.grow(2 * UNIT_BYTES)


async def test_bytes_beyond_the_memory_are_sent_away_and_those_of_others_stay() -> None:
    shared = transfers(units=2)
    async with shared.of(ADA) as hers:
        await hers.grow(UNIT_BYTES + 1)
        with pytest.raises(TooBusy):
            async with shared.of(GRACE) as memory:
                await memory.grow(1)
    async with shared.of(GRACE) as memory:
        await memory.grow(2 * UNIT_BYTES)


async def test_memory_is_counted_in_all_bytes_that_arrived() -> None:
    shared = transfers(units=1)
    async with shared.of(ADA) as memory:
        for _ in range(4):
            await memory.grow(UNIT_BYTES // 4)
        with pytest.raises(TooBusy):
            await memory.grow(1)


async def test_everything_is_free_again_after_a_failure() -> None:
    shared = transfers(units=1)

    async def fail() -> None:
        async with shared.of(ADA) as memory:
            await memory.grow(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with shared.of(ADA) as memory:
        await memory.grow(UNIT_BYTES)


async def test_the_newest_attempt_begins_when_the_older_has_let_go() -> None:
    attempts, photo, course, begun = Attempts(), uuid4(), [], asyncio.Event()

    async def attempt(name: str, until: asyncio.Event) -> None:
        try:
            async with attempts.newest(photo):
                course.append(f"{name} begins")
                begun.set()
                await until.wait()
        except UploadOvertaken:
            course.append(f"{name} is overtaken")
            raise

    never, now = asyncio.Event(), asyncio.Event()
    now.set()
    older = asyncio.create_task(attempt("older", never))
    await begun.wait()
    await attempt("newer", now)

    with pytest.raises(UploadOvertaken):
        await older
    assert course.index("older begins") < course.index("newer begins")
    async with attempts.newest(photo):
        pass
