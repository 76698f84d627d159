"""Who was given the bytes of a photo is recorded, is told to its owner, and goes with the account."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from contracts.identity import UserDeleted
from storage.models import PhotoRead
from storage.use_cases.forget_reads import forget_reads
from support.erasures import work_on_erasures


async def reads(person, photo, query: str = "") -> dict:
    answer = await person.call("GET", f"/{photo['id']}/reads{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def recorded(service) -> int:
    async with service.unit_of_work() as uow:
        return int(await uow.session.scalar(select(func.count()).select_from(PhotoRead)) or 0)


@pytest.fixture
def erase(clock, deliver, participation, service):
    """Erase a person; return what was reported."""

    async def _erase(person) -> None:
        now = clock.now()
        deadline = now + timedelta(days=30)
        await deliver(UserDeleted(user_id=person.id, erasure_id=uuid4(), requested_at=now, deadline=deadline))
        await work_on_erasures(participation, service.database)

    return _erase


async def test_each_read_is_recorded_with_its_session_its_reason_and_its_time(ada, pictures, clock) -> None:
    photo = await ada.upload(pictures.jpeg())
    assert await reads(ada, photo) == {"items": [], "next": None}
    for name, headers in (("thumbnail", {}), ("original", {"Range": "bytes=0-9"}), ("original", {})):
        assert (await ada.read(photo[f"{name}_url"], **headers)).status_code in {200, 206}
        clock.advance(timedelta(seconds=1))
    items = (await reads(ada, photo))["items"]
    assert [item["rendition"] for item in items] == ["original", "original", "thumbnail"]
    session = parse_qs(urlsplit(photo["original_url"]).query)["session"]
    assert [[item["session_id"]] for item in items] == [session] * 3
    assert {item["read_by"] for item in items} == {str(ada.id)}
    assert {item["reason"] for item in items} == {"shown-to-owner"}
    assert items[0]["read_at"] > items[1]["read_at"] > items[2]["read_at"]


async def test_what_gives_no_bytes_is_no_read(ada, client, consent, pictures, service) -> None:
    photo = await ada.upload(pictures.jpeg())
    first = await ada.read(photo["original_url"])
    assert (await client.head(photo["original_url"])).status_code == 200
    assert (
        await ada.read(photo["original_url"], **{"If-None-Match": first.headers["ETag"]})
    ).status_code == 304
    consent.withdraw(ada.id)
    assert (await ada.read(photo["original_url"])).status_code == 403
    assert await recorded(service) == 1


async def test_reads_are_told_page_by_page_and_to_the_owner_only(ada, grace, pictures, clock) -> None:
    photo = await ada.upload(pictures.jpeg())
    for _ in range(5):
        await ada.read(photo["thumbnail_url"])
        clock.advance(timedelta(seconds=1))
    seen, following = [], ""
    while following is not None:
        page = await reads(ada, photo, f"?page_size=2{f'&after={following}' if following else ''}")
        seen += [item["id"] for item in page["items"]]
        following = page["next"]
    assert len(seen) == len(set(seen)) == 5
    assert (await grace.call("GET", f"/{photo['id']}/reads")).status_code == 404
    assert (await grace.call("GET", f"/{uuid4()}/reads")).status_code == 404


async def test_who_has_seen_a_photo_is_told_after_it_was_deleted(ada, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    await ada.read(photo["original_url"])
    await ada.call("DELETE", f"/{photo['id']}")
    assert len((await reads(ada, photo))["items"]) == 1


async def test_erasure_takes_the_log_and_reports_it(ada, pictures, service, erase, announced) -> None:
    photo = await ada.upload(pictures.jpeg())
    for _ in range(3):
        await ada.read(photo["thumbnail_url"])
    await erase(ada)
    assert await recorded(service) == 0
    (report,) = [it for it in await announced() if it["type"] == "storage.erasure.reported.v1"]
    assert (report["erased"]["photo_reads"], report["erased"]["usage_counts"]) == (3, 1)


async def test_read_that_meets_an_erasure_is_refused_and_leaves_no_record(
    ada, pictures, service, erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await ada.upload(pictures.jpeg())
    get = service.vault.get

    async def get_and_erase(*place, **how):
        content = await get(*place, **how)
        await erase(ada)
        return content

    monkeypatch.setattr(service.vault, "get", get_and_erase)
    assert (await ada.read(photo["original_url"])).status_code == 410
    assert await recorded(service) == 0


async def test_reads_of_long_ago_are_forgotten(ada, pictures, service, clock) -> None:
    photo = await ada.upload(pictures.jpeg())
    await ada.read(photo["thumbnail_url"])
    clock.advance(timedelta(days=30))
    fresh = (await ada.call("GET", f"/{photo['id']}")).json()
    await ada.read(fresh["thumbnail_url"])
    assert await forget_reads(service.database, keep=timedelta(days=29)) == 1
    assert len((await reads(ada, photo))["items"]) == 1
