"""S10: whoever changes anything of a link, or of what comes over it, is refused."""

import base64
from datetime import timedelta
from uuid import uuid4

import pytest

TUS = {"Tus-Resumable": "1.0.0"}
JPEG = {"Content-Type": "image/jpeg"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
WRONG_DIGEST = base64.b64encode(bytes(20)).decode()


@pytest.fixture
async def link(ada) -> str:
    return (await ada.ticket())["upload_url"]


@pytest.fixture
async def pieces_link(ada, pictures) -> str:
    """The link of an upload in pieces that has announced the size of the picture."""
    kind = base64.b64encode(b"image/jpeg").decode()
    announced = {"Upload-Length": str(len(pictures.jpeg())), "Upload-Metadata": f"filetype {kind}"}
    begun = await ada._client.post("/api/v1/photos/uploads", headers={**ada._headers, **TUS, **announced})
    assert begun.status_code == 201, begun.text
    return begun.headers["Location"]


async def test_s10_honest_use_of_both_ways_is_accepted(client, link, pieces_link, pictures) -> None:
    assert (await client.put(link, content=pictures.jpeg(), headers=JPEG)).status_code == 200
    assert (await client.patch(pieces_link, content=pictures.jpeg(), headers=PIECE)).status_code == 204


async def test_s10_more_than_was_announced(ada, service, client, pieces_link, pictures) -> None:
    body = pictures.jpeg() + b"more"
    assert (await client.patch(pieces_link, content=body, headers=PIECE)).status_code == 413
    assert await service.vault.count_objects([ada.id]) == {ada.id: 0}


async def test_s10_another_size_than_arrived(ada, client, pictures) -> None:
    ticket = await ada.ticket()
    await ada.put(ticket, pictures.jpeg())
    for size in (len(pictures.jpeg()) - 1, len(pictures.jpeg()) + 1, 0, -1):
        answer = await ada.call("POST", f"/{ticket['photo_id']}/confirm", json={"file_size": size})
        assert answer.status_code in {409, 422}
    assert (await ada.call("GET", f"/{ticket['photo_id']}")).json()["upload_status"] == "pending"


@pytest.mark.parametrize("declared", ["image/png", "text/html", "application/octet-stream"])
async def test_s10_another_type(client, link, pictures, declared) -> None:
    answer = await client.put(link, content=pictures.jpeg(), headers={"Content-Type": declared})
    assert answer.status_code == 415


async def test_s10_header_dropped(client, link, pictures) -> None:
    assert (await client.put(link, content=pictures.jpeg())).status_code == 415


async def test_s10_another_checksum(client, pieces_link, pictures) -> None:
    wrong = {**PIECE, "Upload-Checksum": f"sha1 {WRONG_DIGEST}"}
    assert (await client.patch(pieces_link, content=pictures.jpeg(), headers=wrong)).status_code == 460


async def test_s10_another_key(ada, grace, client, link, pictures) -> None:
    own = link.partition("/photos/")[2].partition("/")[0]
    for photo_id in ((await ada.ticket())["photo_id"], (await grace.ticket())["photo_id"], str(uuid4())):
        other = link.replace(own, photo_id)
        assert (await client.put(other, content=pictures.jpeg(), headers=JPEG)).status_code in {403, 410}


async def test_s10_token_dropped_or_of_another(grace, client, link, pictures) -> None:
    bare, _, query = link.partition("?")
    other = (await grace.ticket())["upload_url"].partition("?")[2]
    for changed in ("", other, query[:-1], f"{query}x", query.swapcase()):
        answer = await client.put(f"{bare}?{changed}", content=pictures.jpeg(), headers=JPEG)
        assert answer.status_code in {403, 422}, changed


async def test_s10_replay_with_other_bytes(client, link, pictures) -> None:
    assert (await client.put(link, content=pictures.jpeg(), headers=JPEG)).status_code == 200
    assert (await client.put(link, content=pictures.jpeg(60, 40), headers=JPEG)).status_code == 409


async def test_s10_expired(client, clock, link, pieces_link, pictures) -> None:
    clock.advance(timedelta(seconds=301))
    assert (await client.put(link, content=pictures.jpeg(), headers=JPEG)).status_code == 410
    clock.advance(timedelta(days=1))
    assert (await client.patch(pieces_link, content=pictures.jpeg(), headers=PIECE)).status_code == 410


async def test_s10_link_of_one_way_is_none_of_the_other(client, link, pieces_link, pictures) -> None:
    _, _, query = link.partition("?")
    bare, _, other = pieces_link.partition("?")
    assert (await client.patch(f"{bare}?{query}", content=pictures.jpeg(), headers=PIECE)).status_code == 403
    whole = f"{link.partition('?')[0]}?{other}"
    assert (await client.put(whole, content=pictures.jpeg(), headers=JPEG)).status_code == 403


async def test_s10_reading_link_of_another_photo_rendition_session_or_time(
    ada, client, clock, pictures
) -> None:
    first, second = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg())
    url = first["original_url"]
    session = url.partition("session=")[2].partition("&")[0]
    changed = [
        url.replace(first["id"], second["id"]),
        first["thumbnail_url"].partition("signature=")[0] + "signature=" + url.partition("signature=")[2],
        url.replace(session, str(uuid4())),
        url.partition("?")[0],
        url[:-1],
    ]
    assert [link for link in changed if (await client.get(link)).status_code not in {403, 422}] == []
    assert (await client.put(url, content=pictures.jpeg(), headers=JPEG)).status_code in {403, 405, 422}
    clock.advance(timedelta(minutes=6))
    assert (await client.get(url)).status_code in {403, 410}
