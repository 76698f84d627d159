"""Reading over signed links: for one rendition and a time, dead with the consent and with the photo."""

from datetime import timedelta

import pytest


def problem(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:irisvue:problem:")


@pytest.fixture
async def photo(ada, pictures):
    return await ada.upload(pictures.jpeg(200, 150))


async def test_both_links_read_without_a_bearer_token(client, photo, pictures) -> None:
    original = await client.get(photo["original_url"])
    thumbnail = await client.get(photo["thumbnail_url"])
    assert (original.status_code, thumbnail.status_code) == (200, 200)
    assert pictures.size(original.content) == pictures.size(thumbnail.content) == (200, 150)
    for answer in (original, thumbnail):
        assert answer.headers["content-type"] == "image/jpeg"
        seconds = int(answer.headers["cache-control"].removeprefix("private, max-age="))
        assert 150 <= seconds <= 300
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-length"] == str(len(answer.content))


async def test_ranges_are_honoured(ada, photo) -> None:
    whole = (await ada.read(photo["original_url"])).content
    for asked, expected in {
        "bytes=0-9": (0, 10),
        "bytes=10-": (10, len(whole)),
        "bytes=-5": (len(whole) - 5, len(whole)),
        f"bytes=5-{len(whole) + 100}": (5, len(whole)),
    }.items():
        part = await ada.read(photo["original_url"], Range=asked)
        assert part.status_code == 206
        assert part.content == whole[slice(*expected)]
        assert part.headers["content-range"] == f"bytes {expected[0]}-{expected[1] - 1}/{len(whole)}"


async def test_a_range_outside_the_photo_can_not_be_satisfied(ada, photo) -> None:
    answer = await ada.read(photo["original_url"], Range="bytes=99999999-")
    assert problem(answer) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"].startswith("bytes */")


async def test_who_has_this_version_is_not_sent_it_again(ada, photo, consent) -> None:
    tag = (await ada.read(photo["original_url"])).headers["etag"]
    for known in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        answer = await ada.read(photo["original_url"], **{"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"].startswith("private, max-age=")
    other = await ada.read(photo["thumbnail_url"], **{"If-None-Match": tag})
    assert other.status_code == 200
    consent.withdraw(ada.id)
    refused = await ada.read(photo["original_url"], **{"If-None-Match": tag})
    assert problem(refused) == (403, "consent-required")


async def test_a_range_of_another_version_is_answered_with_the_whole(ada, photo) -> None:
    whole = await ada.read(photo["original_url"])
    tag = whole.headers["etag"]
    same = await ada.read(photo["original_url"], **{"Range": "Bytes=0-9", "If-Range": tag})
    assert (same.status_code, same.content) == (206, whole.content[:10])
    for other in ('"another"', f"W/{tag}", "Sun, 22 Nov 2026 12:00:00 GMT"):
        answer = await ada.read(photo["original_url"], **{"Range": "bytes=0-9", "If-Range": other})
        assert (answer.status_code, answer.content) == (200, whole.content)


async def test_links_stay_the_same_until_half_their_life(ada, photo, clock) -> None:
    seen = []
    for _ in range(31):
        seen.append((await ada.call("GET")).json()["items"][0]["original_url"])
        clock.advance(timedelta(seconds=10))
    assert len(set(seen)) == 3
    assert max(seen.count(url) for url in seen) == 15
    assert (await ada.read(seen[-1])).status_code == 200


async def test_equal_photos_have_different_tags(ada, photo, pictures) -> None:
    again = await ada.upload(pictures.jpeg(200, 150))
    first, second = await ada.read(photo["original_url"]), await ada.read(again["original_url"])
    assert first.content == second.content
    assert first.headers["etag"] != second.headers["etag"]


async def test_a_link_is_for_one_rendition_one_photo_and_one_time(ada, photo, pictures) -> None:
    other = await ada.upload(pictures.jpeg())
    url = photo["original_url"]
    expires = url.split("expires=")[1].split("&")[0]
    for changed in (
        url.replace("/content?", "/thumbnail?"),
        url.replace(photo["id"], other["id"]),
        url.replace(expires, str(int(expires) + 1)),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
    ):
        assert problem(await ada.read(changed)) == (403, "link-refused")


async def test_a_reading_link_can_not_write(client, photo, pictures) -> None:
    answer = await client.put(
        photo["original_url"], content=pictures.jpeg(), headers={"Content-Type": "image/jpeg"}
    )
    assert problem(answer) == (422, "invalid-request")
    token = photo["original_url"].split("signature=")[1]
    session = photo["original_url"].split("session=")[1].split("&")[0]
    answer = await client.put(
        f"/api/v1/photos/{photo['id']}/content?session={session}&token={token}",
        content=pictures.jpeg(),
        headers={"Content-Type": "image/jpeg"},
    )
    assert problem(answer) == (403, "link-refused")


async def test_a_link_expires_and_a_new_one_is_given(ada, photo, clock) -> None:
    clock.advance(timedelta(seconds=301))
    assert problem(await ada.read(photo["original_url"])) == (410, "link-gone")
    fresh = (await ada.call("GET", f"/{photo['id']}")).json()
    assert (await ada.read(fresh["original_url"])).status_code == 200


async def test_consent_is_asked_at_every_read(ada, photo, consent) -> None:
    asked = consent.asked
    for _ in range(3):
        assert (await ada.read(photo["thumbnail_url"])).status_code == 200
    assert consent.asked == asked + 3


async def test_nothing_is_served_while_consent_can_not_be_asked(ada, photo, consent) -> None:
    consent.down = True
    assert problem(await ada.read(photo["original_url"])) == (503, "service-unavailable")


async def test_after_a_withdrawal_no_link_works_even_if_its_event_is_late(ada, photo, consent) -> None:
    consent.withdraw(ada.id)
    assert problem(await ada.read(photo["original_url"])) == (403, "consent-required")


async def test_a_new_consent_does_not_reopen_what_rested_on_the_old_one(ada, photo, consent) -> None:
    consent.withdraw(ada.id)
    consent.grant(ada.id)
    assert (await ada.read(photo["original_url"])).status_code in (403, 410)
    assert (await ada.call("GET")).json()["total"] == 0


async def test_a_renewed_consent_keeps_the_photos(ada, photo, consent) -> None:
    consent.grant(ada.id)
    assert (await ada.read(photo["original_url"])).status_code == 200


async def test_a_deleted_photo_is_gone(ada, photo) -> None:
    assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 204
    assert problem(await ada.read(photo["original_url"])) == (410, "link-gone")


async def test_a_store_that_is_down_is_told(ada, photo, road) -> None:
    road.cut()
    assert problem(await ada.read(photo["original_url"])) == (503, "service-unavailable")
    road.mend()
    assert (await ada.read(photo["original_url"])).status_code == 200
