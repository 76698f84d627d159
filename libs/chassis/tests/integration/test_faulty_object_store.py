"""A real store that fails now and then on the way: what is called empty is empty (R22)."""

import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL

from chassis.object_entries import Inventory
from chassis.object_store import ObjectStoreSettings, open_object_store
from chassis.object_store_faults import ObjectStoreUnavailable

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
