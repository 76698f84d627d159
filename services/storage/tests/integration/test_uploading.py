"""Uploading: a live consent at every step, one use per link, only pictures, nothing kept of a refusal."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.models import Photo
from storage.policy import Rendition
from storage.use_cases.expire_uploads import expire_uploads
from storage.vault import PhotoLocation
from support import eventually


def problem(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:irisvue:problem:")


async def left(service, person) -> int:
    return (await service.vault.count_objects([person.id]))[person.id]


async def place_of(service, photo) -> PhotoLocation:
    async with service.unit_of_work() as uow:
        return PhotoLocation.of(await uow.session.get(Photo, photo["id"]))


async def test_a_photo_is_uploaded_confirmed_listed_and_read_back(ada, service, pictures, announced) -> None:
    data = pictures.jpeg()
    ticket = await ada.ticket()
    assert set(ticket) == {"upload_url", "photo_id", "s3_key", "expires_at"}
    received = await ada.put(ticket, data)
    assert received.status_code == 200
    assert received.json()["file_size"] == len(data)
    photo = (
        await ada.call(
            "POST", f"/{ticket['photo_id']}/confirm", json={"file_size": len(data), "width": 9, "height": 9}
        )
    ).json()
    assert set(photo) == {
        "id", "user_id", "s3_key", "thumbnail_url", "original_url", "width", "height", "file_size",
        "content_type", "upload_status", "created_at", "updated_at",
    }  # fmt: skip
    assert (photo["width"], photo["height"], photo["file_size"]) == (64, 48, len(data))
    assert (photo["upload_status"], photo["content_type"]) == ("uploaded", "image/jpeg")
    assert photo["s3_key"] == ticket["s3_key"]
    listed = (await ada.call("GET")).json()
    assert (listed["total"], listed["items"][0]["id"]) == (1, photo["id"])
    original = await ada.read(photo["original_url"])
    assert pictures.pixels(original.content) == pictures.pixels(data)
    assert not any(canary in original.content for canary in pictures.canaries)
    assert (await announced())[-1] == {
        "type": "storage.photo.uploaded.v1",
        "user_id": str(ada.id),
        "photo_id": photo["id"],
        "content_type": "image/jpeg",
        "size": len(data),
    }


async def test_the_bucket_holds_only_sealed_and_encrypted_objects_that_name_nobody(
    ada, service, pictures
) -> None:
    photo = await ada.upload(pictures.jpeg())
    store = service.vault._objects
    assert str(ada.id) not in photo["s3_key"]
    place = await place_of(service, photo)
    for key in (place.key(Rendition.ORIGINAL), place.key(Rendition.THUMBNAIL)):
        head = await store._client.head_object(Bucket=store._bucket, Key=key)
        assert head["ServerSideEncryption"] == "AES256"
        kept = await store.download(key, most_bytes=10**6)
        assert kept.startswith(b"IVS")
        assert b"JFIF" not in kept
    assert await left(service, ada) == 2


@pytest.mark.parametrize("kind", ["png", "webp", "heic"])
async def test_every_accepted_type_can_be_uploaded(ada, pictures, kind: str) -> None:
    photo = await ada.upload(getattr(pictures, kind)(), f"image/{kind}")
    expected = "image/jpeg" if kind == "heic" else f"image/{kind}"
    assert photo["content_type"] == expected
    original = await ada.read(photo["original_url"])
    assert original.headers["content-type"] == expected
    assert pictures.size(original.content) == (photo["width"], photo["height"])


async def test_the_type_may_stand_in_the_query_or_nowhere(ada, pictures) -> None:
    in_query = (await ada.call("POST", "/upload?content_type=image/png")).json()
    assert (await ada.put(in_query, pictures.png(), "image/png")).status_code == 200
    nowhere = (await ada.call("POST", "/upload")).json()
    assert (await ada.put(nowhere, pictures.jpeg())).status_code == 200


async def test_an_unknown_type_is_refused_without_an_echo(ada) -> None:
    answer = await ada.call("POST", "/upload", json={"content_type": "image/canary"})
    assert problem(answer) == (422, "invalid-request")
    assert "canary" not in answer.text


async def test_without_consent_there_is_no_link(stranger) -> None:
    assert problem(await stranger.call("POST", "/upload")) == (403, "consent-required")
    assert (await stranger.call("GET")).json()["total"] == 0


async def test_without_an_answer_from_consent_there_is_no_link(ada, consent) -> None:
    consent.down = True
    answer = await ada.call("POST", "/upload")
    assert problem(answer) == (503, "service-unavailable")
    assert "Retry-After" in answer.headers


async def test_J03_where_the_law_asks_for_more_nothing_new_is_taken_and_what_there_is_stays(  # noqa: N802
    ada, consent, service, pictures
) -> None:
    assert (await ada.put(await ada.ticket(), pictures.jpeg())).status_code == 200
    consent.demand(ada.id, "bipa")
    refused = await ada.call("POST", "/upload?country_code=US&state_code=IL")
    assert problem(refused) == (403, "consent-required")
    assert refused.json()["reason"] == "stricter-jurisdiction-holds"
    assert refused.json()["jurisdiction"] == "bipa"
    assert "bipa" in refused.json()["detail"]
    assert {name: consent.seen.get(name) for name in ("country_code", "state_code")} == {
        "country_code": "US",
        "state_code": "IL",
    }
    assert consent.seen["address"]
    assert (await ada.call("GET")).json()["total"] == 1
    assert await left(service, ada) > 0
    consent.demand(ada.id, None)
    assert (await ada.call("POST", "/upload")).status_code == 201


async def test_a_consent_service_that_refuses_the_question_is_no_yes(ada, consent) -> None:
    consent._tokens._public_keys.pop("storage")
    assert problem(await ada.call("POST", "/upload")) == (503, "service-unavailable")


async def test_a_withdrawal_between_link_and_bytes_is_noticed_without_its_event(
    ada, consent, service, pictures
) -> None:
    ticket = await ada.ticket()
    consent.withdraw(ada.id)
    assert problem(await ada.put(ticket, pictures.jpeg())) == (403, "consent-required")
    assert await left(service, ada) == 0
    assert (await ada.call("GET")).json()["total"] == 0


async def test_a_withdrawal_whose_event_came_first_is_noticed_too(
    ada, consent, service, pictures, deliver
) -> None:
    ticket = await ada.ticket()
    await deliver(consent.withdraw(ada.id))
    asked = consent.asked
    assert problem(await ada.put(ticket, pictures.jpeg())) == (403, "consent-required")
    assert consent.asked == asked


async def test_a_new_consent_does_not_revive_an_old_link(ada, consent, pictures) -> None:
    ticket = await ada.ticket()
    consent.withdraw(ada.id)
    consent.grant(ada.id)
    assert problem(await ada.put(ticket, pictures.jpeg())) == (403, "consent-required")
    assert (await ada.upload(pictures.jpeg()))["upload_status"] == "uploaded"


async def test_bytes_are_refused_while_consent_can_not_be_asked_and_taken_afterwards(
    ada, consent, service, pictures
) -> None:
    ticket = await ada.ticket()
    consent.down = True
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 503
    assert await left(service, ada) == 0
    consent.down = False
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 200


async def test_the_same_bytes_again_get_the_same_answer_and_others_are_refused(
    ada, service, pictures, clock
) -> None:
    ticket, data = await ada.ticket(), pictures.jpeg()
    first = await ada.put(ticket, data)
    confirmation = {"file_size": len(data), "width": 1, "height": 1}
    for confirm in (False, True):
        if confirm:
            await ada.call("POST", f"/{ticket['photo_id']}/confirm", json=confirmation)
        again = await ada.put(ticket, data)
        assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
        assert problem(await ada.put(ticket, pictures.jpeg(60, 40))) == (409, "upload-differs")
    assert await left(service, ada) == 2

    clock.advance(timedelta(seconds=301))
    assert problem(await ada.put(ticket, data)) == (410, "upload-gone")
    await expire_uploads(service.database, upload_takes=timedelta(0), confirm_within=timedelta(hours=24))
    async with service.unit_of_work() as uow:
        assert (await uow.session.get(Photo, ticket["photo_id"])).upload_digest is None


async def test_the_newest_attempt_takes_over_from_one_that_hangs(ada, client, pictures) -> None:
    ticket, hanging = await ada.ticket(), asyncio.Event()

    async def half_open():
        yield pictures.jpeg()[:100]
        hanging.set()
        await asyncio.Event().wait()

    headers = {"Content-Type": "image/jpeg"}
    older = asyncio.create_task(client.put(ticket["upload_url"], content=half_open(), headers=headers))
    await hanging.wait()
    async with asyncio.timeout(5):
        newer = await ada.put(ticket, pictures.jpeg())
    assert newer.status_code == 200
    assert problem(await older) == (410, "upload-overtaken")


async def test_sixteen_uploads_that_stall_keep_nobody_else_from_uploading(
    ada, grace, client, pictures
) -> None:
    begun: list[bool] = []

    async def stall():
        yield b"\xff\xd8\xff\xe0"
        begun.append(True)
        await asyncio.Event().wait()

    headers = {"Content-Type": "image/jpeg"}
    links = [(await ada.ticket())["upload_url"] for _ in range(16)]
    stalled = [asyncio.create_task(client.put(link, content=stall(), headers=headers)) for link in links]

    async def her_share_is_used_up() -> None:
        assert len(begun) == 2

    await eventually(her_share_is_used_up)
    async with asyncio.timeout(3):
        assert (await grace.upload(pictures.jpeg()))["upload_status"] == "uploaded"
    for upload in stalled:
        upload.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)


async def test_confirming_asks_whether_the_consent_still_lives(ada, consent, pictures, announced) -> None:
    ticket, data = await ada.ticket(), pictures.jpeg()
    await ada.put(ticket, data)
    consent.withdraw(ada.id)
    answer = await ada.call("POST", f"/{ticket['photo_id']}/confirm", json={"file_size": len(data)})
    assert answer.status_code in {403, 404}
    assert "storage.photo.uploaded.v1" not in {event["type"] for event in await announced()}


async def test_photos_without_bytes_are_listed_only_when_asked_for(ada, pictures) -> None:
    await ada.ticket()
    photo = await ada.upload(pictures.jpeg())
    listed = (await ada.call("GET")).json()
    assert (listed["total"], [item["id"] for item in listed["items"]]) == (1, [photo["id"]])
    assert (await ada.call("GET", "?include=pending")).json()["total"] == 2
    assert problem(await ada.call("GET", "?include=all")) == (422, "invalid-request")


async def test_where_addresses_must_be_proved_nobody_else_gets_a_link_or_uses_an_old_one(
    ada, app, service, issuer, client, pictures, consent
) -> None:
    ticket = await ada.ticket()
    proved = service.settings.model_copy(update={"proved_address_for_biometrics": True})
    acceptance = replace(service.acceptance, proved_address_only=True)
    strict = replace(service, settings=proved, reception=replace(service.reception, acceptance=acceptance))
    app.state.service = strict
    assert problem(await ada.call("POST", "/upload")) == (403, "prove-address-first")
    assert problem(await ada.put(ticket, pictures.jpeg())) == (403, "prove-address-first")

    proved_person = type(ada)(client, issuer, email_verified=True)
    consent.grant(proved_person.id)
    assert (await proved_person.upload(pictures.jpeg()))["upload_status"] == "uploaded"


async def test_a_link_expires(ada, pictures, clock) -> None:
    ticket = await ada.ticket()
    clock.advance(timedelta(seconds=301))
    assert problem(await ada.put(ticket, pictures.jpeg())) == (410, "upload-gone")
    assert (await ada.call("GET", f"/{ticket['photo_id']}")).json()["upload_status"] == "failed"


async def test_a_changed_token_is_refused(ada, pictures) -> None:
    ticket = await ada.ticket()
    other = await ada.ticket()
    ticket["upload_url"] = ticket["upload_url"].replace("token=", "token=x")
    assert problem(await ada.put(ticket, pictures.jpeg())) == (403, "link-refused")
    other["upload_url"] = other["upload_url"].replace(other["photo_id"], ticket["photo_id"])
    assert problem(await ada.put(other, pictures.jpeg())) == (403, "link-refused")


async def test_only_one_of_many_uploads_over_one_link_is_kept(ada, service, pictures) -> None:
    ticket = await ada.ticket()
    answers = await asyncio.gather(*(ada.put(ticket, pictures.jpeg(60 + n, 40)) for n in range(6)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes.count(200) == 1
    # One that was overtaken, or that came with another picture after the first was kept.
    assert set(codes[1:]) <= {409, 410}
    kept = next(answer for answer in answers if answer.status_code == 200).json()
    await ada.call("POST", f"/{ticket['photo_id']}/confirm", json={"file_size": kept["file_size"]})
    photo = (await ada.call("GET", f"/{ticket['photo_id']}")).json()
    assert pictures.size((await ada.read(photo["original_url"])).content) == (kept["width"], kept["height"])


async def test_too_many_bytes_are_refused_by_their_announcement_and_by_counting(
    ada, service, settings, client
) -> None:
    ticket = await ada.ticket()
    excess = bytes(settings.upload_limit_bytes + 1)
    announced = await ada.put(ticket, excess)

    async def unannounced():
        for start in range(0, len(excess), 65_536):
            yield excess[start : start + 65_536]

    counted = await client.put(
        ticket["upload_url"], content=unannounced(), headers={"Content-Type": "image/jpeg"}
    )
    for answer in (announced, counted):
        assert problem(answer) == (413, "photo-too-large")
        assert answer.json()["limit"] == settings.upload_limit_bytes
    assert await left(service, ada) == 0


async def test_a_picture_of_too_many_pixels_is_refused(ada, pictures) -> None:
    ticket = await ada.ticket("image/png")
    assert problem(await ada.put(ticket, pictures.png_bomb(8_000, 6_600), "image/png")) == (
        413,
        "photo-too-large",
    )


@pytest.mark.parametrize(
    ("asked", "sent", "kind"),
    [
        ("image/jpg", "image/jpeg", "jpeg"),
        ("IMAGE/JPEG", "image/jpg", "jpeg"),
        ("image/jpeg", "Image/JPEG; charset=binary", "jpeg"),
        ("image/heif", "image/heic", "heic"),
        ("image/heic", "image/HEIF", "heic"),
    ],
)
async def test_other_names_of_the_accepted_types_are_read(
    ada, pictures, asked: str, sent: str, kind: str
) -> None:
    answer = await ada.put(await ada.ticket(asked), getattr(pictures, kind)(), sent)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("content_type", ["image/png", "text/plain", ""])
async def test_another_content_type_than_declared_is_refused(ada, pictures, content_type: str) -> None:
    answer = await ada.put(await ada.ticket(), pictures.jpeg(), content_type)
    assert problem(answer) == (415, "wrong-image-type")
    assert "image/jpeg" in answer.json()["detail"]


async def test_bytes_of_another_type_are_refused_and_the_link_still_works(ada, service, pictures) -> None:
    ticket = await ada.ticket()
    for wrong in (b"", b"canary-text", pictures.gif(), pictures.png(), pictures.jpeg()[:200]):
        answer = await ada.put(ticket, wrong)
        assert problem(answer) == (415, "wrong-image-type")
        assert "canary" not in answer.text
    assert await left(service, ada) == 0
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 200


async def test_an_upload_that_breaks_off_is_refused_and_can_be_repeated(ada, client, pictures) -> None:
    ticket = await ada.ticket()

    async def broken():
        yield pictures.jpeg()[:100]
        raise ConnectionResetError

    answer = await client.put(ticket["upload_url"], content=broken(), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 503
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 200


async def test_a_store_that_is_down_refuses_for_now_and_the_link_still_works(
    ada, road, service, pictures
) -> None:
    ticket = await ada.ticket()
    road.cut()
    answer = await ada.put(ticket, pictures.jpeg())
    assert problem(answer) == (503, "service-unavailable")
    road.mend()
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 200


async def test_confirming_needs_the_bytes_and_their_number(ada, pictures) -> None:
    ticket = await ada.ticket()
    path, data = f"/{ticket['photo_id']}/confirm", pictures.jpeg()
    sized = {"file_size": len(data), "width": 64, "height": 48}
    assert problem(await ada.call("POST", path, json=sized)) == (409, "photo-not-uploaded")
    await ada.put(ticket, data)
    wrong = await ada.call("POST", path, json={**sized, "file_size": len(data) - 1})
    assert problem(wrong) == (409, "size-mismatch")
    assert (await ada.call("GET", f"/{ticket['photo_id']}")).json()["upload_status"] == "pending"
    assert (await ada.call("POST", path, json=sized)).status_code == 200


async def test_confirming_twice_announces_once(ada, pictures, announced) -> None:
    photo = await ada.upload(pictures.jpeg())
    again = await ada.call("POST", f"/{photo['id']}/confirm", json={"file_size": photo["file_size"]})
    assert again.status_code == 200
    types = [event["type"] for event in await announced()]
    assert types.count("storage.photo.uploaded.v1") == 1


async def test_what_is_somebody_elses_is_not_found(ada, stranger, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    path = f"/{photo['id']}"
    sized = {"file_size": photo["file_size"], "width": 1, "height": 1}
    for answer in (
        await stranger.call("GET", path),
        await stranger.call("DELETE", path),
        await stranger.call("POST", f"{path}/confirm", json=sized),
    ):
        assert problem(answer) == (404, "not-found")
    assert (await ada.call("GET", path)).status_code == 200


async def test_without_a_bearer_token_nothing_is_told(client) -> None:
    for method, path in (("POST", "/upload"), ("GET", ""), ("GET", "/x"), ("DELETE", "/x")):
        assert (await client.request(method, f"/api/v1/photos{path}")).status_code == 401


async def test_photos_are_listed_in_pages_newest_first(ada, clock) -> None:
    ids = []
    for _ in range(5):
        ids.append((await ada.ticket())["photo_id"])
        clock.advance(timedelta(seconds=1))
    query = "?include=pending&page_size=2&page="
    pages = [(await ada.call("GET", f"{query}{page}")).json() for page in (1, 2, 3, 4)]
    assert [item["id"] for page in pages for item in page["items"]] == ids[::-1]
    assert {(page["total"], page["page_size"]) for page in pages} == {(5, 2)}
    assert pages[0]["items"][0]["original_url"] is None
    for query in ("page=0", "page_size=0", "page_size=101"):
        assert problem(await ada.call("GET", f"?{query}")) == (422, "invalid-request")


async def test_pages_that_follow_each_other_miss_and_repeat_nothing_while_photos_come_and_go(
    ada, clock
) -> None:
    async def begin(number: int) -> list[str]:
        # Some of them at the same moment.
        made = [(await ada.ticket())["photo_id"] for _ in range(number)]
        clock.advance(timedelta(microseconds=1))
        return made

    ids = [photo_id for number in (1, 3, 2) for photo_id in await begin(number)]
    seen, following = [], ""
    while following is not None:
        after = f"&after={following}" if following else ""
        page = (await ada.call("GET", f"?include=pending&page_size=2{after}")).json()
        following = page["next"]
        seen += [item["id"] for item in page["items"]]
        await begin(1)
        # The photo at the place where the next page begins is deleted.
        assert (await ada.call("DELETE", f"/{seen[-1]}")).status_code == 204
    assert sorted(seen) == sorted(ids)
    assert seen[:2] == sorted(ids[4:], reverse=True)


@pytest.mark.parametrize("after", ["", "x", "1-2", f"-{'0' * 33}", f"{'9' * 17}-{'0' * 32}", "Ⅷ-" + "0" * 32])
async def test_a_place_that_no_page_has_named_is_refused(ada, after) -> None:
    assert problem(await ada.call("GET", f"?after={after}")) == (422, "invalid-request")


async def test_objects_of_one_photo_do_not_open_as_anothers(ada, service, pictures) -> None:
    first, second = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg())
    store = service.vault._objects
    key, other = [(await place_of(service, photo)).key(Rendition.ORIGINAL) for photo in (first, second)]
    await store.upload(key, await store.download(other, most_bytes=10**6))
    assert problem(await ada.read(first["original_url"])) == (410, "photo-unavailable")
    shown = (await ada.call("GET", f"/{first['id']}")).json()
    assert (shown["original_url"], shown["upload_status"]) == (None, "failed")
    assert (await ada.read(second["original_url"])).status_code == 200


async def test_what_an_abandoned_attempt_still_writes_does_no_harm(ada, service, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    place = await place_of(service, photo)
    late = service.vault.locate(place.owner, place.photo_id, version=place.version + 1)
    await service.vault.put(late, {Rendition.ORIGINAL: b"late", Rendition.THUMBNAIL: b"late"})
    assert (await ada.read(photo["original_url"])).status_code == 200


async def test_photos_of_before_attempts_had_folders_are_still_read(ada, service, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    place = await place_of(service, photo)
    store = service.vault._objects
    for rendition in Rendition:
        sealed = await store.download(place.key(rendition), most_bytes=10**6)
        await store.upload(f"{service.vault.folder_of_photo(place.owner, place.photo_id)}{rendition}", sealed)
    await service.vault.empty(place.folder)
    async with service.unit_of_work() as uow:
        row = await uow.session.get(Photo, photo["id"])
        row.s3_key = f"{row.folder}{Rendition.ORIGINAL}"
    assert (await ada.read(photo["original_url"])).status_code == 200


async def test_key_that_is_missing_is_an_alarm_and_no_error_of_ours(ada, service, pictures) -> None:
    photo, ticket = await ada.upload(pictures.jpeg()), await ada.ticket()
    service.key_providers._providers["file"]._keys.clear()
    answer = await ada.read(photo["original_url"])
    assert problem(answer) == (503, "photo-unavailable")
    assert "Retry-After" in answer.headers
    refused = await ada.put(ticket, pictures.jpeg())
    assert problem(refused) == (503, "service-unavailable")
    assert "Retry-After" in refused.headers


async def test_the_row_remembers_what_the_photo_rests_on(ada, consent, service, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    async with service.unit_of_work() as uow:
        row = await uow.session.get(Photo, photo["id"])
    assert row is not None
    assert row.consent_epoch == 1
    assert str(row.consent_id) == consent._answers[str(ada.id)]["consent_id"]
    assert (await service.vault.get(PhotoLocation.of(row), Rendition.THUMBNAIL)).startswith(b"\xff\xd8")


async def test_a_part_of_a_photo_is_refused(ada, client, pictures) -> None:
    ticket, data = await ada.ticket(), pictures.jpeg()
    headers = {"Content-Type": "image/jpeg", "Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
    answer = await client.put(ticket["upload_url"], content=data, headers=headers)
    assert problem(answer) == (400, "partial-upload")
    assert (await ada.put(ticket, data)).status_code == 200


async def test_a_link_is_given_only_when_every_end_that_consent_tells_of_has_been_followed(
    ada, consent, deliver, pictures
) -> None:
    kept = await ada.upload(pictures.plain_jpeg())
    # Only the grant after it is heard of.
    consent.withdraw(ada.id)
    await deliver(consent.grant(ada.id))
    await ada.ticket()
    assert (await ada.call("GET", f"/{kept['id']}")).status_code == 404
