"""Searches everything that the platform stores for traces of one person, with the operator's keys.

Nothing is left out by name: every row of every table of every schema, every object, version and unfinished
upload, every Redis key and value, every message of every queue. A trace is any of the person's words, as
text, as hexadecimal digits (how PostgreSQL shows raw bytes) or, for ids, without hyphens. The keyed hash that
names the person's folder in the bucket is searched as well; only work orders to look there once more may
still hold it, and those are counted apart.
"""

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aioboto3
import aiohttp
import asyncpg
from redis.asyncio import Redis
from yarl import URL

from cluster.environment import ADMIN, BUCKET, DATABASE, KEYRING_DATABASE, REGION, VHOST
from cluster.errors import ClusterError

ANSWER_SECONDS = 10
# More than any queue of a development cluster holds; a longer one is reported instead of half read.
MOST_MESSAGES = 20_000
DUMP_PAGE = 500

_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""

_ROWS = """
    SELECT count(*), count(*) FILTER (WHERE named), count(*) FILTER (WHERE foldered AND NOT named)
    FROM (
        SELECT row LIKE ANY ($1::text[]) AS named, row LIKE ANY ($2::text[]) AS foldered
        FROM (SELECT lower(t::text) AS row FROM {table} AS t) AS texts
    ) AS judged
"""
# An upload that was cut off may still reach the store after the erasure: storage looks into the folder again,
# up to a day later, and then forgets its name.
MAY_NAME_THE_FOLDER = frozenset(["irisvue.storage.destructions"])


@dataclass(frozen=True)
class Place:
    """One table, bucket, database or queue: how much was looked at, and how much of it bears a trace.

    `kept` counts what names the person's folder by its keyed hash, where that may be.
    """

    kind: str
    name: str
    looked_at: int
    found: int
    kept: int = 0


@dataclass(frozen=True)
class Traces:
    """What to search for, in every spelling."""

    words: tuple[str, ...]
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, ids: Iterable[str], words: Iterable[str], object_keys: Iterable[str] = ()) -> "Traces":
        """Build the spellings of UUIDs, of plain words and of the first folder of object keys, lower case."""
        plain = [str(UUID(text)) for text in ids]
        texts = [*plain, *(text.lower() for text in words)]
        short = [text.replace("-", "") for text in plain]
        folders = [key.split("/", 1)[0].lower() for key in object_keys]
        return cls(
            tuple(dict.fromkeys([*texts, *short, *(text.encode().hex() for text in texts)])),
            tuple(dict.fromkeys([*folders, *(text.encode().hex() for text in folders)])),
        )

    def stand_in(self, data: str | bytes) -> bool:
        """Whether any of them stands in the data."""
        text = data.decode("utf-8", errors="replace") if isinstance(data, bytes) else data
        lowered = text.lower()
        return any(word in lowered for word in (*self.words, *self.folders))


async def search(values: Mapping[str, str], traces: Traces) -> list[Place]:
    """Look everywhere; `values` are the variables of `.env`."""
    parts = await asyncio.gather(
        search_database(values, DATABASE, traces),
        search_database(values, KEYRING_DATABASE, traces),
        search_bucket(values, traces),
        search_redis(values, traces),
        search_queues(values, traces),
    )
    return [place for part in parts for place in part]


async def search_database(values: Mapping[str, str], database: str, traces: Traces) -> list[Place]:
    """Search every row of every table of one PostgreSQL database."""
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=int(values["POSTGRES_PORT"]),
        user=ADMIN,
        password=values["POSTGRES_ADMIN_PASSWORD"],
        database=database,
        timeout=ANSWER_SECONDS,
    )
    try:
        places = []
        for (table,) in await connection.fetch(_TABLES):
            # The name comes from the catalogue, quoted by PostgreSQL itself.
            query = _ROWS.format(table=table)
            rows, named, foldered = await connection.fetchrow(
                query, _patterns(traces.words), _patterns(traces.folders)
            )
            name = f"{database}.{table}"
            kept = foldered if name in MAY_NAME_THE_FOLDER else 0
            places.append(Place("table", name, rows, named + foldered - kept, kept))
        return places
    finally:
        await connection.close()


def _patterns(words: Iterable[str]) -> list[str]:
    escaped = (word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for word in words)
    return [f"%{word}%" for word in escaped]


async def search_bucket(values: Mapping[str, str], traces: Traces) -> list[Place]:
    """Search the keys of all objects, versions, delete markers and unfinished uploads."""
    listings = {
        "objects": ("list_objects_v2", ("Contents",)),
        "versions and markers": ("list_object_versions", ("Versions", "DeleteMarkers")),
        "unfinished uploads": ("list_multipart_uploads", ("Uploads",)),
    }
    places = []
    async with open_bucket(values) as s3:
        for name, (operation, kinds) in listings.items():
            keys = [
                entry["Key"]
                async for page in s3.get_paginator(operation).paginate(Bucket=BUCKET)
                for kind in kinds
                for entry in page.get(kind, [])
            ]
            found = sum(traces.stand_in(key) for key in keys)
            places.append(Place("bucket", f"{BUCKET}, {name}", len(keys), found))
    return places


def open_bucket(values: Mapping[str, str]) -> Any:
    """Return the operator's S3 client; use it with `async with`."""
    return aioboto3.Session().client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{values['S3_PORT']}",
        region_name=REGION,
        aws_access_key_id=values["S3_ADMIN_ACCESS_KEY"],
        aws_secret_access_key=values["S3_ADMIN_SECRET_KEY"],
    )


async def search_redis(values: Mapping[str, str], traces: Traces) -> list[Place]:
    """Search every key and its value, in whichever type, in every numbered database."""
    places = []
    for number in range(16):
        redis = Redis(
            port=int(values["REDIS_PORT"]),
            db=number,
            username=ADMIN,
            password=values["REDIS_ADMIN_PASSWORD"],
            socket_timeout=ANSWER_SECONDS,
        )
        async with redis:
            keys = [key async for key in redis.scan_iter(count=DUMP_PAGE)]
            found = 0
            for key in keys:
                found += traces.stand_in(key) or traces.stand_in(await _value_of(redis, key))
        if keys or number == 0:
            places.append(Place("redis", f"database {number}", len(keys), found))
    return places


async def _value_of(redis: Any, key: bytes) -> str:
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
        return ""
    if kind not in readers:
        raise ClusterError(f"Redis holds a value of type {kind.decode()}, which this search can't read.")
    return str(await readers[kind]())


async def search_queues(values: Mapping[str, str], traces: Traces) -> list[Place]:
    """Look at every message of every queue, dead letters too, and put each back."""
    login = aiohttp.encode_basic_auth(ADMIN, values["RABBITMQ_ADMIN_PASSWORD"])
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    base = f"http://127.0.0.1:{values['RABBITMQ_MANAGEMENT_PORT']}/api/queues/{VHOST}"
    places = []
    async with aiohttp.ClientSession(headers={"Authorization": login}, timeout=timeout) as http:
        async with http.get(base, raise_for_status=True) as answer:
            queues = [entry["name"] for entry in await answer.json()]
        for queue in sorted(queues):
            messages = await _peek(http, f"{base}/{quote(queue, safe='')}/get")
            found = sum(traces.stand_in(text) for text in messages)
            places.append(Place("queue", queue, len(messages), found))
    return places


async def _peek(http: aiohttp.ClientSession, url: str) -> list[str]:
    """Return headers and body of every waiting message as text."""
    request = {"count": MOST_MESSAGES, "ackmode": "ack_requeue_true", "encoding": "base64"}
    async with http.post(URL(url, encoded=True), json=request, raise_for_status=True) as answer:
        messages = await answer.json()
    if len(messages) == MOST_MESSAGES:
        raise ClusterError(f"A queue holds {MOST_MESSAGES} messages or more, too many to look at.")
    return [
        str(message["properties"]) + base64.b64decode(message["payload"]).decode("utf-8", errors="replace")
        for message in messages
    ]
