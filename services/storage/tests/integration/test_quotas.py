"""Limits of one person: photos, bytes and uploads of a day; who meets one is told which, and what is used."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.quotas import Quota

TUS = {"Tus-Resumable": "1.0.0"}
PLENTY = Quota(photos=1000, bytes=10**9, uploads_per_day=1000)


def told(answer) -> tuple[int, str, str, int, int]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    slug = document["type"].removeprefix("urn:irisvue:problem:")
    return answer.status_code, slug, document["quota"], document["used"], document["limit"]


@pytest.fixture
def limit(app, service):
    """Give everybody these limits from now on."""

    def _limit(**limits: int) -> None:
        desk = replace(service.upload_desk, quota=replace(PLENTY, **limits))
        app.state.service = replace(service, upload_desk=desk)

    return _limit


async def usage(person) -> tuple[int, int, int]:
    answer = await person.call("GET", "/usage")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    return tuple(shown[name]["used"] for name in ("photos", "bytes", "uploads_per_day"))


async def test_usage_counts_what_has_arrived_and_what_was_begun_today(
    ada, grace, settings, pictures, clock
) -> None:
    assert await usage(ada) == (0, 0, 0)
    data = pictures.jpeg()
    await ada.upload(data)
    photo = await ada.upload(data)
    await ada.ticket()
    assert await usage(ada) == (2, 2 * len(data), 3)
    shown = (await ada.call("GET", "/usage")).json()
    assert {name: limit["limit"] for name, limit in shown.items()} == {
        "photos": settings.quota_photos,
        "bytes": settings.quota_bytes,
        "uploads_per_day": settings.quota_uploads_per_day,
    }
    assert await usage(grace) == (0, 0, 0)
    await ada.call("DELETE", f"/{photo['id']}")
    assert await usage(ada) == (1, len(data), 3)
    clock.advance(timedelta(days=1))
    assert await usage(ada) == (1, len(data), 0)


async def test_uploads_of_a_day_are_limited_and_begin_anew_the_next_day(ada, grace, limit, clock) -> None:
    limit(uploads_per_day=2)
    for _ in range(2):
        await ada.ticket()
    refused = await ada.call("POST", "/upload")
    assert told(refused) == (409, "quota-reached", "uploads_per_day", 2, 2)
    assert refused.json()["resets_at"] > clock.now().isoformat()
    await grace.ticket()
    clock.advance(timedelta(days=1))
    await ada.ticket()


async def test_deleting_does_not_give_an_upload_of_today_back(ada, limit) -> None:
    limit(uploads_per_day=1)
    ticket = await ada.ticket()
    assert (await ada.call("DELETE", f"/{ticket['photo_id']}")).status_code == 204
    assert told(await ada.call("POST", "/upload"))[2:] == ("uploads_per_day", 1, 1)


async def test_photos_are_limited_and_deleting_makes_room(ada, pictures, limit) -> None:
    limit(photos=1)
    photo = await ada.upload(pictures.jpeg())
    assert told(await ada.call("POST", "/upload")) == (409, "quota-reached", "photos", 1, 1)
    assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 204
    await ada.upload(pictures.jpeg())


async def test_bytes_are_limited_and_an_upload_that_says_its_length_must_fit(
    ada, client, pictures, limit
) -> None:
    data = pictures.jpeg()
    limit(bytes=len(data) + 100)
    await ada.upload(data)

    async def begin(length: int):
        headers = {**ada._headers, **TUS, "Upload-Length": str(length)}
        return await client.post("/api/v1/photos/uploads", headers=headers)

    assert told(await begin(101)) == (413, "space-used-up", "bytes", len(data), len(data) + 100)
    assert (await begin(100)).status_code == 201
    await ada.ticket()
    limit(bytes=len(data))
    assert told(await ada.call("POST", "/upload"))[:3] == (413, "space-used-up", "bytes")


async def test_many_at_once_get_no_more_than_the_limit(ada, limit) -> None:
    await ada.ticket()
    limit(uploads_per_day=4)
    answers = await asyncio.gather(*(ada.call("POST", "/upload") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 5


async def test_without_consent_that_is_said_and_no_limit(stranger, limit) -> None:
    limit(uploads_per_day=1, photos=1)
    answer = await stranger.call("POST", "/upload")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:irisvue:problem:consent-required")
