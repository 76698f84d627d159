"""What each service may do in Redis: count under keys of its own, and nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from limits import parse
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from chassis.counters import Counters, connect_redis, counts_of
from support.servers import RunningServers

Open = Callable[[str], AbstractAsyncContextManager[Redis]]
SERVICES = pytest.mark.parametrize(("service", "other"), [("identity", "gateway"), ("gateway", "identity")])


@pytest.fixture
def redis_of(servers: RunningServers) -> Open:
    @asynccontextmanager
    async def of_service(service: str) -> AsyncIterator[Redis]:
        redis = connect_redis(servers.redis_url_of(service))
        yield redis
        await redis.aclose()

    return of_service


@SERVICES
async def test_service_counts_in_redis_with_its_own_user(service: str, other: str, redis_of: Open) -> None:
    async with redis_of(service) as redis:
        counters = Counters(redis, {"tries": parse("2/minute")}, keys=counts_of(service), secret=b"secret")
        assert await redis.ping()
        await counters.forgive("tries", "somebody")
        standings = [await counters.take("tries", "somebody") for _ in range(3)]
        await counters.forgive("tries", "somebody")
        afterwards = await counters.take("tries", "somebody")

    assert [standing.allowed for standing in standings] == [True, True, False]
    assert afterwards.remaining == 1


@SERVICES
@pytest.mark.parametrize(
    "command",
    [
        ("GET", "{other}:limits:x"),
        ("DEL", "{other}:limits:x"),
        ("SET", "{other}:limits:x", "1"),
        ("SET", "anything", "1"),
        ("RENAME", "{own}:a", "{other}:a"),
        ("EVAL", "return 1", "0"),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("MONITOR",),
        ("SUBSCRIBE", "channel"),
        ("SHUTDOWN",),
        ("SCRIPT", "FLUSH"),
        ("CLIENT", "LIST"),
    ],
)
async def test_service_can_do_nothing_else(
    service: str, other: str, command: tuple[str, ...], redis_of: Open
) -> None:
    words = [word.format(own=service, other=other) for word in command]

    async with redis_of(service) as redis:
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*words)


async def test_nobody_gets_in_without_a_name_and_a_password(servers: RunningServers) -> None:
    address = servers.network.redis
    for url in (f"redis://{address}/0", f"redis://:{servers.values['REDIS_ADMIN_PASSWORD']}@{address}/0"):
        redis = connect_redis(url)
        with pytest.raises(AuthenticationError):
            await redis.ping()
        await redis.aclose()
