"""Limits on a real Redis, and without one."""

import asyncio
import json
import re
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from chassis.ids import new_id
from support.servers import RunningServers

REGISTER = "/api/v1/auth/register"
LOGIN = "/api/v1/auth/login/json"
OPEN = "/api/v1/privacy/jurisdiction"
POLICY = re.compile(r'^"[a-z]+";q=\d+;w=\d+$')
STANDING = re.compile(r'^"[a-z]+";r=\d+;t=\d+$')


def limits(**texts: str) -> dict[str, str]:
    return {"limits": json.dumps(texts)}


@pytest.fixture
async def redis_url(servers: RunningServers) -> Any:
    client: Redis = Redis.from_url(servers.redis_url)
    await client.flushdb()
    yield servers.redis_url
    await client.aclose()


async def statuses(stage: Any, path: str, count: int, headers: dict[str, str] | None = None) -> list[int]:
    found = []
    for _ in range(count):
        async with stage.client.get(path, headers=headers) as answer:
            found.append(answer.status)
    return found


async def test_limit_is_kept_and_its_refusal_says_when_to_return(open_stage: Any, redis_url: str) -> None:
    async with open_stage(redis_url=redis_url, **limits(public="5/minute")) as stage:
        assert await statuses(stage, OPEN, 5) == [200] * 5
        async with stage.client.get(OPEN) as answer:
            assert answer.status == 429
            assert answer.headers["Cache-Control"] == "no-store"
            problem = await answer.json()
            assert problem["type"] == "urn:irisvue:problem:quota-exceeded"
            assert problem["violated-policies"] == ["public"]
            standing = re.search(r"t=(\d+)", answer.headers["RateLimit"])
            assert standing is not None
            assert int(answer.headers["Retry-After"]) >= int(standing[1]) > 0
        assert len(stage.consent.asked) == 5


async def test_every_limited_answer_tells_what_is_left(open_stage: Any, redis_url: str) -> None:
    async with open_stage(redis_url=redis_url, **limits(public="100/minute", user="50/minute")) as stage:
        left = []
        for _ in range(3):
            async with stage.client.get(OPEN) as answer:
                assert POLICY.match(answer.headers.getone("RateLimit-Policy"))
                assert answer.headers["RateLimit-Policy"] == '"public";q=100;w=60'
                assert STANDING.match(answer.headers.getone("RateLimit"))
                left.append(re.search(r"r=(\d+)", answer.headers["RateLimit"])[1])  # type: ignore[index]
        assert left == ["99", "98", "97"]
        async with stage.client.get("/api/v1/photos", headers=stage.mint.bearer()) as answer:
            assert answer.headers["RateLimit-Policy"] == '"user";q=50;w=60'


async def test_people_do_not_share_a_limit_but_their_devices_do(open_stage: Any, redis_url: str) -> None:
    async with open_stage(redis_url=redis_url, **limits(user="3/minute")) as stage:
        one, other = new_id(), new_id()
        assert await statuses(stage, "/api/v1/photos", 3, stage.mint.bearer(one, new_id())) == [200] * 3
        assert await statuses(stage, "/api/v1/photos", 1, stage.mint.bearer(one, new_id())) == [429]
        assert await statuses(stage, "/api/v1/photos", 1, stage.mint.bearer(other)) == [200]


@pytest.mark.parametrize("row", ["A-18-uploads-per-person"])
async def test_uploads_have_a_number_of_their_own_per_person(
    open_stage: Any, redis_url: str, row: str
) -> None:
    async with open_stage(redis_url=redis_url, **limits(upload="3/minute")) as stage:
        one, other = stage.mint.bearer(new_id()), stage.mint.bearer(new_id())

        async def asked(bearer: dict[str, str]) -> int:
            async with stage.client.post("/api/v1/photos/upload", headers=bearer) as answer:
                return int(answer.status)

        assert [await asked(one) for _ in range(4)] == [200] * 3 + [429], row
        assert await asked(other) == 200
        assert await statuses(stage, "/api/v1/photos", 1, one) == [200]


async def test_gateways_share_one_count(open_stage: Any, redis_url: str) -> None:
    settings = {"redis_url": redis_url, **limits(public="10/minute")}
    async with open_stage(**settings) as first, open_stage(**settings) as second:
        found = await statuses(first, OPEN, 6) + await statuses(second, OPEN, 6)
        assert found.count(200) == 10


async def test_parallel_requests_never_exceed_the_limit(open_stage: Any, redis_url: str) -> None:
    async with open_stage(redis_url=redis_url, **limits(public="20/minute")) as stage:
        found = await asyncio.gather(*(statuses(stage, OPEN, 1) for _ in range(60)))
        assert sum(one == [200] for one in found) == 20
        assert sum(one == [429] for one in found) == 40


async def test_guessing_tokens_is_limited_per_address(open_stage: Any, redis_url: str) -> None:
    async with open_stage(redis_url=redis_url, **limits(refused="5/minute")) as stage:
        guess = {"Authorization": "Bearer nonsense"}
        assert await statuses(stage, "/api/v1/users/me", 7, guess) == [401] * 5 + [429] * 2
        assert await statuses(stage, "/api/v1/photos", 1, stage.mint.bearer()) == [200]


SPELLINGS = [
    "198.51.100.7",
    "198.51.100.7:4711",
    "::ffff:198.51.100.7",
    "[::ffff:198.51.100.7]:4711",
    "::FFFF:c633:6407",
    "0:0:0:0:0:ffff:198.51.100.7",
    " 198.51.100.7:1 ",
    "[::ffff:c633:6407]",
]
ONE_LINE = [f"2001:db8:1:2:{number:x}::{number:x}" for number in range(1, 9)]


async def sign_ups(stage: Any, addresses: list[str]) -> list[int]:
    found = []
    for address in addresses:
        async with stage.client.post(REGISTER, json={}, headers={"X-Forwarded-For": address}) as answer:
            found.append(answer.status)
    return found


@pytest.mark.parametrize(
    "addresses", [ONE_LINE, SPELLINGS, ["198.51.100.7"] * 8], ids=["64", "spelled", "same"]
)
async def test_one_line_is_one_caller_however_its_address_is_written(
    open_stage: Any, redis_url: str, addresses: list[str]
) -> None:
    async with open_stage(
        redis_url=redis_url, trusted_proxies="127.0.0.0/8", **limits(register="5/hour")
    ) as stage:
        assert await sign_ups(stage, addresses) == [200] * 5 + [429] * 3
        assert await sign_ups(stage, ["198.51.100.8", "2001:db8:9::1"]) == [200] * 2


async def test_site_with_many_lines_has_a_larger_number_of_its_own(open_stage: Any, redis_url: str) -> None:
    lines = [f"2001:db8:1:{number:x}::1" for number in range(20)]
    async with open_stage(
        redis_url=redis_url, trusted_proxies="127.0.0.0/8", **limits(register="2/hour")
    ) as stage:
        assert await sign_ups(stage, lines) == [200] * 16 + [429] * 4
        assert await sign_ups(stage, ["2001:db8:2::1"]) == [200]


async def test_address_that_services_see_has_no_port(open_stage: Any) -> None:
    async with open_stage(trusted_proxies="127.0.0.0/8") as stage:
        await sign_ups(stage, ["[2001:db8::7]:4711", "::ffff:198.51.100.7"])
        seen = [
            request.headers["X-Forwarded-For"] for request in stage.identity.asked if request.path == REGISTER
        ]
        assert seen == ["2001:db8::7", "198.51.100.7"]


async def test_two_hundred_registrations_from_one_address_pass_in_development(
    open_stage: Any, redis_url: str
) -> None:
    async with open_stage(redis_url=redis_url) as stage:
        for _ in range(200):
            async with stage.client.post(REGISTER, json={}) as answer:
                assert answer.status == 200


async def test_production_counts_registrations_and_logins_strictly(open_stage: Any, redis_url: str) -> None:
    async with open_stage(
        redis_url=redis_url, environment="production", public_url="https://api.example"
    ) as stage:
        for path, allowed in ((REGISTER, 5), (LOGIN, 50)):
            found = []
            for _ in range(allowed + 1):
                async with stage.client.post(path, json={}) as answer:
                    found.append(answer.status)
            assert found == [200] * allowed + [429]


async def test_request_asks_redis_once_for_all_of_its_limits(open_stage: Any, redis_url: str) -> None:
    requests = [
        ("GET", "/api/v1/photos", "bearer", "2001:db8:7::1"),
        ("GET", "/api/v1/photos", "nonsense", "2001:db8:7::1"),
        ("POST", REGISTER, None, "2001:db8:7::1"),
        ("POST", REGISTER, None, "198.51.100.7"),
    ]
    async with open_stage(redis_url=redis_url, trusted_proxies="127.0.0.0/8") as stage:
        bearer = stage.mint.bearer()

        async def ask(method: str, path: str, token: str | None, address: str) -> None:
            said = {None: {}, "bearer": bearer, "nonsense": {"Authorization": "Bearer nonsense"}}[token]
            headers = {"X-Forwarded-For": address, **said}
            async with stage.client.request(method, path, headers=headers):
                return

        await ask(*requests[0])  # Connections and the script are there from now on.
        async with Redis.from_url(redis_url) as watching, watching.monitor() as seen:
            for request in requests:
                await ask(*request)
            async with Redis.from_url(redis_url) as last:
                await last.echo("that was all")
            commands = []
            while (command := await seen.next_command())["command"] != "ECHO that was all":
                # What a script does is no round trip.
                commands += [command["command"].split()[0]] * (command["client_type"] != "lua")
    assert [name for name in commands if name not in ("HELLO", "CLIENT", "AUTH", "SELECT")] == ["EVALSHA"] * 4


async def test_redis_learns_no_address_and_no_person_and_forgets_everything(
    open_stage: Any, redis_url: str
) -> None:
    user = new_id()
    async with open_stage(redis_url=redis_url) as stage:
        await statuses(stage, OPEN, 2)
        await statuses(stage, "/api/v1/photos", 2, stage.mint.bearer(user))
    client: Redis = Redis.from_url(redis_url, decode_responses=True)
    keys = [key async for key in client.scan_iter("*")]
    assert len(keys) >= 2
    for key in keys:
        stored = f"{key!r} {await client.get(key)!r}"
        assert "127.0.0.1" not in stored
        assert str(user) not in stored
        assert user.hex not in stored
        assert 0 < await client.ttl(key) <= 120
    await client.aclose()


async def test_without_redis_limits_are_stricter_and_never_open(
    open_stage: Any, redis_url: str, cable: Any
) -> None:
    link, near = cable(redis_url)
    await link.plug_in()
    async with open_stage(redis_url=near, **limits(public="40/minute")) as stage:
        assert await statuses(stage, OPEN, 5) == [200] * 5
        await link.pull()
        found = await statuses(stage, OPEN, 30)
        assert found == [200] * 20 + [429] * 10
        async with stage.client.get("/health/redis") as answer:
            assert answer.status == 503
        await link.plug_in()

    async with open_stage(redis_url=near, **limits(public="40/minute")) as stage:
        # The shared count went on where it was.
        assert (await statuses(stage, OPEN, 40)).count(200) == 35


async def test_without_redis_two_processes_together_allow_no_more_than_one(open_stage: Any) -> None:
    async with open_stage(processes=2, **limits(public="40/minute")) as stage:
        assert await statuses(stage, OPEN, 15) == [200] * 10 + [429] * 5


async def test_redis_that_hangs_costs_a_quarter_of_a_second_once(
    open_stage: Any, redis_url: str, cable: Any
) -> None:
    link, near = cable(redis_url)
    await link.plug_in()
    async with open_stage(redis_url=near) as stage:
        await statuses(stage, OPEN, 1)
        link.silence()
        started = time.monotonic()
        assert await statuses(stage, OPEN, 10) == [200] * 10
        assert time.monotonic() - started < 1.0


async def test_redis_that_returns_is_used_again(
    open_stage: Any, redis_url: str, cable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.counters.RETRY_REDIS_SECONDS", 0.0)
    link, near = cable(redis_url)
    async with open_stage(redis_url=near, **limits(public="40/minute")) as stage:
        async with stage.client.get(OPEN) as answer:
            assert answer.headers["RateLimit-Policy"] == '"public";q=20;w=60'
        await link.plug_in()
        async with stage.client.get(OPEN) as answer:
            assert answer.headers["RateLimit-Policy"] == '"public";q=40;w=60'
