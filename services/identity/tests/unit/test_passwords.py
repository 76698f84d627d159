import asyncio
import os
import threading
import time

import pytest

from chassis import context
from chassis.problems import ServiceUnavailable
from identity.passwords import Argon2Pool
from identity.settings import hashing_threads


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 3), (64, 3)])
def test_hashing_leaves_a_core_to_those_who_are_signed_in(monkeypatch, cores, threads) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert hashing_threads() == threads


@pytest.fixture
def pool():
    """Return a function that opens a pool of one thread."""
    opened: list[Argon2Pool] = []

    def _pool(wait_seconds: float) -> Argon2Pool:
        opened.append(
            Argon2Pool(memory_kib=8192, iterations=1, parallelism=1, threads=1, wait_seconds=wait_seconds)
        )
        return opened[-1]

    yield _pool
    for one in opened:
        one.close()


async def test_two_hundred_sign_ins_at_once_wait_their_turn(pool) -> None:
    hasher = pool(60.0)
    stored = await hasher.hash("correct horse")
    answers = await asyncio.gather(*(hasher.verify("correct horse", stored) for _ in range(200)))
    assert [fits for fits, _ in answers] == [True] * 200


async def test_who_has_waited_too_long_is_told_and_costs_no_hash(pool, monkeypatch) -> None:
    hasher, busy, hashed = pool(0.2), threading.Event(), []
    monkeypatch.setattr(hasher, "_check", lambda *given: hashed.append(given))
    threads = hasher._threads
    threads.submit(busy.wait)
    answers = await asyncio.gather(
        *(hasher.verify("correct horse", None) for _ in range(200)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {ServiceUnavailable}
    busy.set()
    await asyncio.wrap_future(threads.submit(int))
    assert hashed == []


async def test_what_a_request_has_waited_for_elsewhere_is_time_that_its_hash_no_longer_has(pool) -> None:
    hasher, busy = pool(60.0), threading.Event()
    hasher._threads.submit(busy.wait)
    context.arrived.set(time.monotonic() - 59.8)
    began = time.monotonic()
    for chosen in (hasher.verify("correct horse", None), hasher.hash("correct horse")):
        with pytest.raises(ServiceUnavailable):
            await chosen
    assert time.monotonic() - began < 10
    busy.set()
