"""Every key of Redis and its value, in whichever type, in every numbered database."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from redis.asyncio import Redis

from cluster.environment import ADMIN
from cluster.errors import ClusterError
from residue.canaries import Canaries
from residue.searched import Searched

ANSWER_SECONDS = 10
DATABASES = 16
PAGE = 500


async def search_redis(values: Mapping[str, str], canaries: Canaries) -> list[Searched]:
    """Search all databases; an empty one is told only when it is the first."""
    places = []
    for number in range(DATABASES):
        place = Searched("redis", f"database {number}")
        async with open_redis(values, number) as redis:
            async for key in redis.scan_iter(count=PAGE):
                place.look_at(canaries, key, *_flat(await _value_of(redis, key)))
        if place.looked_at or number == 0:
            places.append(place)
    return places


def open_redis(values: Mapping[str, str], number: int = 0) -> Redis:
    """Return the operator's client of one database; use it with `async with`."""
    return Redis(
        port=int(values["REDIS_PORT"]),
        db=number,
        username=ADMIN,
        password=values["REDIS_ADMIN_PASSWORD"],
        socket_timeout=ANSWER_SECONDS,
    )


async def _value_of(redis: Any, key: bytes) -> Any:
    """Read a value with the command of its type; a key that has just expired has none."""
    readers = {
        b"string": lambda: redis.get(key),
        b"hash": lambda: redis.hgetall(key),
        b"list": lambda: redis.lrange(key, 0, -1),
        b"set": lambda: redis.smembers(key),
        b"zset": lambda: redis.zrange(key, 0, -1),
        b"stream": lambda: redis.xrange(key),
    }
    kind = await redis.type(key)
    if kind == b"none":
        return b""
    if kind not in readers:
        raise ClusterError(f"Redis holds a value of type {kind.decode()}, which this search can't read.")
    return await readers[kind]()


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, Mapping):
        yield from _flat([*value.keys(), *value.values()])
    elif isinstance(value, Iterable):
        for part in value:
            yield from _flat(part)
