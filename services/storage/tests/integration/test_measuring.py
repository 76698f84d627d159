"""HEAD over reading links: what reading would say, without reading (RFC 9110 §9.3.2)."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

RENDITIONS = ("original_url", "thumbnail_url")


@pytest.fixture
async def photo(ada, pictures):
    return await ada.upload(pictures.jpeg(200, 150))


@pytest.mark.parametrize("rendition", RENDITIONS)
async def test_head_has_the_status_and_headers_of_reading_and_no_body(client, photo, rendition) -> None:
    read, measured = await client.get(photo[rendition]), await client.head(photo[rendition])
    assert measured.status_code == read.status_code == 200
    assert measured.content == b""
    assert measured.headers["content-length"] == str(len(read.content))
    for name in ("content-type", "etag", "cache-control", "accept-ranges"):
        assert measured.headers[name] == read.headers[name]


async def test_head_of_a_part_is_that_of_the_whole(client, photo) -> None:
    # Only GET has ranges (RFC 9110 §14.2).
    whole = await client.head(photo["original_url"])
    for asked in ("bytes=0-9", "bytes=99999999-"):
        answer = await client.head(photo["original_url"], headers={"Range": asked})
        assert (answer.status_code, "content-range" in answer.headers) == (200, False)
        assert answer.headers["content-length"] == whole.headers["content-length"]


async def test_head_of_a_known_version_is_not_modified(client, photo) -> None:
    tag = (await client.get(photo["original_url"])).headers["etag"]
    answer = await client.head(photo["original_url"], headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    other = await client.head(photo["thumbnail_url"], headers={"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("rendition", RENDITIONS)
async def test_head_is_refused_where_reading_is(
    client, ada, photo, consent, clock, pictures, rendition
) -> None:
    other = await ada.upload(pictures.jpeg())

    async def both(url: str) -> set[int]:
        return {(await client.request(method, url)).status_code for method in ("GET", "HEAD")}

    assert await both(photo[rendition].replace(photo["id"], other["id"])) == {403}
    consent.down = True
    assert await both(photo[rendition]) == {503}
    consent.down = False
    assert (await ada.call("DELETE", f"/{other['id']}")).status_code == 204
    assert await both(other[rendition]) == {410}
    clock.advance(timedelta(seconds=301))
    assert await both(photo[rendition]) == {410}


async def test_head_asks_for_the_consent(client, ada, photo, consent) -> None:
    consent.withdraw(ada.id)
    assert (await client.head(photo["original_url"])).status_code == 403


async def test_head_of_what_is_lost_says_so_and_no_other_photo_is_taken_for_lost(
    client, ada, photo, service
) -> None:
    store = service.vault._objects
    bucket, store._bucket = store._bucket, f"nowhere-{secrets.token_hex(6)}"
    assert (await client.head(photo["original_url"])).status_code == 500
    store._bucket = bucket
    assert (await client.head(photo["original_url"])).status_code == 200
    await service.vault.empty(service.vault.folder_of_photo(ada.id, photo["id"]))
    assert (await client.head(photo["original_url"])).status_code == 410
    assert (await ada.call("GET", f"/{photo['id']}")).json()["upload_status"] == "failed"


async def test_head_where_the_key_is_missing_is_answered_as_reading_is(client, photo, service) -> None:
    service.key_providers._providers["file"]._keys.clear()
    for method in ("GET", "HEAD"):
        assert (await client.request(method, photo["original_url"])).status_code == 503


async def test_head_reads_no_picture_and_waits_for_nobody_who_does(
    client, ada, pictures, service, settings, road
) -> None:
    photo = await ada.upload(pictures.noise(900))
    async with AsyncExitStack() as readers:
        for _ in range(settings.reads_per_person):
            share = await readers.enter_async_context(service.reads.of(ada.id))
        await share.grow(settings.read_memory_bytes)
        before = road.carried_back
        async with asyncio.timeout(2):
            answer = await client.head(photo["original_url"])
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 200_000
    assert road.carried_back - before < 10_000
