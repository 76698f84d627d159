"""A real store that fails now and then on the way: what is called empty is empty (R22)."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL

from chassis.object_entries import Inventory, ObjectEntry
from chassis.object_store import ObjectStore, ObjectStoreSettings, open_object_store
from chassis.object_store_faults import BucketNotFound, ObjectStoreUnavailable
from support.proxy import FaultyProxy

OBJECTS = 1_100
"""More than a listing holds, so that every listing is cut off."""
FOLDER = "person/"
NOTHING = Inventory(objects=0, versions=0, uploads=0)
MOST_ATTEMPTS = 200
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
NOT_DELETED = (
    '<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Error><Key>person/1</Key><Code>InternalError</Code><Message>Try again.</Message></Error></DeleteResult>"
)


@dataclass
class FaultyStore:
    """Passes requests on to a store, but answers some itself: 503, or 200 for a deletion that was none."""

    target: str
    chance: random.Random
    faults: float = 0.3
    refused: int = 0
    ignored: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as http:

            async def answer(request: web.Request) -> web.Response:
                return await self._answer(http, request)

            app = web.Application(client_max_size=1 << 24)
            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    async def _answer(self, http: ClientSession, request: web.Request) -> web.Response:
        body = await request.read()
        if self.chance.random() < self.faults:
            self.refused += 1
            return web.Response(status=503, text=SLOW_DOWN, content_type="application/xml")
        if "delete" in request.query and self.chance.random() < self.faults:
            self.ignored += 1
            return web.Response(text=NOT_DELETED, content_type="application/xml")
        url = URL(self.target + request.raw_path, encoded=True)
        # The signature is over the host that the client knows.
        async with http.request(request.method, url, headers=request.headers, data=body) as passed:
            headers = {
                name: passed.headers[name] for name in ("ETag", "Content-Type") if name in passed.headers
            }
            return web.Response(status=passed.status, body=await passed.read(), headers=headers)


@pytest.fixture
async def settings(servers) -> ObjectStoreSettings:
    access_key, secret_key = servers.s3_admin
    return ObjectStoreSettings(
        endpoint_url=servers.s3_endpoint,
        access_key=access_key,
        secret_key=secret_key,
        bucket=f"storage-{secrets.token_hex(6)}",
    )


async def test_r22_folder_is_called_empty_only_when_it_is(settings: ObjectStoreSettings) -> None:
    faulty = FaultyStore(settings.endpoint_url, random.Random(22))
    async with open_object_store(settings) as true, faulty.serving() as url:
        await true.ensure_bucket()
        for number in range(OBJECTS):
            await true._client.put_object(Bucket=settings.bucket, Key=f"{FOLDER}{number}", Body=b"x")
        failures = 0
        async with open_object_store(replace(settings, endpoint_url=url, tries=1)) as store:
            for _ in range(MOST_ATTEMPTS):
                try:
                    await store.delete_everything(FOLDER)
                except ObjectStoreUnavailable:
                    failures += 1
                else:
                    break
        assert await true.inventory(FOLDER) == [NOTHING]
        assert 0 < failures < MOST_ATTEMPTS
        assert faulty.refused
        assert faulty.ignored


async def test_r22_what_can_not_be_counted_is_not_called_nothing(settings: ObjectStoreSettings) -> None:
    faulty = FaultyStore(settings.endpoint_url, random.Random(22), faults=1.0)
    async with open_object_store(settings) as true, faulty.serving() as url:
        await true.ensure_bucket()
        await true.upload(f"{FOLDER}1", b"x")
        async with open_object_store(replace(settings, endpoint_url=url, tries=1)) as store:
            with pytest.raises(ObjectStoreUnavailable):
                await store.inventory(FOLDER)


class CutAnswers:
    """Passes a connection on, but closes it when so many bytes of answers have passed."""

    def __init__(self, target: str, *, most_bytes: int) -> None:
        self._target = URL(target)
        self._left = most_bytes
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._target.host, self._target.port)
        asking = asyncio.create_task(self._ask(reader, far_writer))
        while self._left > 0 and (answered := await far_reader.read(min(self._left, 65_536))):
            self._left -= len(answered)
            writer.write(answered)
        asking.cancel()
        for end in (writer, far_writer):
            end.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65_536):
            writer.write(asked)


async def list_all(store: ObjectStore) -> list[ObjectEntry]:
    return [entry async for entry in store.everything()]


ASKED = {
    "count": lambda store: store.inventory(FOLDER),
    "empty": lambda store: store.delete_everything(FOLDER),
    "list": list_all,
    "read": lambda store: store.download(f"{FOLDER}1", most_bytes=1 << 20),
}


@pytest.fixture
async def filled(settings: ObjectStoreSettings) -> AsyncIterator[ObjectStore]:
    async with open_object_store(settings) as store:
        await store.ensure_bucket()
        await store.upload(f"{FOLDER}1", b"x" * 100_000)
        yield store


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_r22_an_answer_that_is_cut_off_is_no_answer(
    settings: ObjectStoreSettings, filled: ObjectStore, ask: Callable[[ObjectStore], Awaitable[object]]
) -> None:
    async with (
        CutAnswers(settings.endpoint_url, most_bytes=150) as cut,
        open_object_store(replace(settings, endpoint_url=cut.url, tries=1)) as store,
    ):
        with pytest.raises(ObjectStoreUnavailable):
            await ask(store)
    assert (await filled.inventory(FOLDER))[0].objects == 1


async def test_r22_a_picture_of_which_the_end_is_missing_is_not_read(
    settings: ObjectStoreSettings, filled: ObjectStore
) -> None:
    del filled
    async with (
        CutAnswers(settings.endpoint_url, most_bytes=50_000) as cut,
        open_object_store(replace(settings, endpoint_url=cut.url, tries=1)) as store,
    ):
        with pytest.raises(ObjectStoreUnavailable):
            await store.download(f"{FOLDER}1", most_bytes=1 << 20)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_r22_a_store_that_is_too_slow_is_not_waited_for_and_not_called_empty(
    settings: ObjectStoreSettings, filled: ObjectStore, ask: Callable[[ObjectStore], Awaitable[object]]
) -> None:
    target = URL(settings.endpoint_url)
    async with FaultyProxy(str(target.host), int(target.port or 0)) as road:
        url = f"http://127.0.0.1:{road.port}"
        slow = replace(settings, endpoint_url=url, tries=1, read_seconds=0.3)
        async with open_object_store(slow) as store:
            road.blackhole()
            async with asyncio.timeout(5):
                with pytest.raises(ObjectStoreUnavailable):
                    await ask(store)
            road.heal()
    assert (await filled.inventory(FOLDER))[0].objects == 1


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_r22_a_bucket_that_has_vanished_is_not_an_empty_one(
    settings: ObjectStoreSettings, filled: ObjectStore, ask: Callable[[ObjectStore], Awaitable[object]]
) -> None:
    await filled.delete_everything(FOLDER)
    await filled._client.delete_bucket(Bucket=settings.bucket)
    with pytest.raises(BucketNotFound):
        await ask(filled)


async def test_everything_in_a_bucket_is_listed_by_key_and_removed_by_version(
    settings: ObjectStoreSettings, filled: ObjectStore
) -> None:
    await filled._client.put_bucket_versioning(
        Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    for key in ("b/2", "a/1", "b/2"):
        await filled.upload(key, b"x")
    await filled.delete("a/1")
    async with open_object_store(replace(settings, page_size=2)) as store:
        found = await list_all(store)
        assert [entry.key for entry in found] == ["a/1", "a/1", "b/2", "b/2", f"{FOLDER}1"]
        await store.remove([entry for entry in found if entry.key != f"{FOLDER}1"])
        assert [entry.key for entry in await list_all(store)] == [f"{FOLDER}1"]
        # Once more is no error.
        await store.remove(found[:2])
