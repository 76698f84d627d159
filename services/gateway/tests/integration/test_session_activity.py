"""Identity hears once which generation of a session was seen; nobody waits for it."""

import asyncio
from typing import Any
from uuid import UUID

from aiohttp import web

from chassis.ids import new_id
from support import eventually

PATH = "/internal/sessions/seen"
ME = "/api/v1/users/me"


class Listener:
    """Identity's side: remembers what it was told, or refuses to listen."""

    def __init__(self, stage: Any) -> None:
        self.told: list[tuple[UUID, int]] = []
        self.batches: list[int] = []
        self.answer = 204
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        stage.identity.on("POST", PATH, self.hear)

    async def hear(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"].startswith("Bearer ")
        seen = (await request.json())["seen"]
        await self.may_answer.wait()
        if self.answer == 204:
            self.batches.append(len(seen))
            self.told += [(UUID(each["session_id"]), each["generation"]) for each in seen]
        return web.Response(status=self.answer)

    async def heard(self, *expected: tuple[UUID, int]) -> None:
        async def all_of_it() -> None:
            assert set(self.told) >= set(expected)

        await eventually(all_of_it, seconds=4)


async def call(stage: Any, session: UUID, generation: int | None) -> int:
    claims = {} if generation is None else {"gen": generation}
    async with stage.client.get(ME, headers=stage.mint.bearer(None, session, **claims)) as answer:
        return int(answer.status)


async def test_each_generation_is_told_once(stage: Any) -> None:
    listener, session, silent = Listener(stage), new_id(), new_id()
    for generation in (1, 1, 2, 1):
        assert await call(stage, session, generation) == 200
    await call(stage, silent, None)
    await listener.heard((session, 2))
    await call(stage, session, 2)
    await call(stage, session, 3)
    await listener.heard((session, 3))
    assert {told for told, _ in listener.told} == {session}
    assert listener.told == sorted(set(listener.told))


async def test_refused_token_is_not_seen(stage: Any) -> None:
    listener, session, other = Listener(stage), new_id(), new_id()
    stage.service.denylist.deny_session(session)
    assert await call(stage, session, 7) == 401
    assert await call(stage, other, 1) == 200
    await listener.heard((other, 1))
    assert listener.told == [(other, 1)]


async def test_identity_that_is_away_or_slow_is_told_later_and_delays_nobody(stage: Any) -> None:
    listener, first, second = Listener(stage), new_id(), new_id()
    listener.answer = 503
    assert await call(stage, first, 1) == 200
    listener.may_answer.clear()
    async with asyncio.timeout(2):
        assert [await call(stage, second, 1) for _ in range(20)] == [200] * 20
    listener.answer = 204
    listener.may_answer.set()
    await listener.heard((first, 1), (second, 1))


async def test_many_are_told_in_batches_and_few_are_kept(stage: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gateway.session_activity.MOST_AT_ONCE", 10)
    monkeypatch.setattr("gateway.session_activity.MOST_WAITING", 25)
    monkeypatch.setattr("gateway.session_activity.MOST_REMEMBERED", 30)
    listener = Listener(stage)
    listener.may_answer.clear()
    sessions = [new_id() for _ in range(60)]
    for session in sessions:
        assert await call(stage, session, 1) == 200
    listener.may_answer.set()
    await listener.heard(*((session, 1) for session in sessions[-20:]))
    assert max(listener.batches) <= 10
    assert stage.service.activity.remembered <= 30
