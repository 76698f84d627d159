"""Uploads in pieces (tus 1.0.0): what was acknowledged stays, and ends in the photo that a PUT would make."""

import asyncio
import base64
import hashlib
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from contracts.identity import UserDeleted
from storage.links import UploadToken
from storage.models import Destruction, Photo
from storage.parts import Part, parts_of
from storage.policy import UploadInterrupted
from storage.tus import Checksum
from storage.use_cases.expire_uploads import expire_uploads
from storage.use_cases.resume_upload import Piece
from support import eventually
from support.erasures import work_on_erasures

TUS = {"Tus-Resumable": "1.0.0"}
PIECE_TYPE = "application/offset+octet-stream"


def problem(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    # What no part of the protocol is to blame for is said by the outermost layer.
    assert answer.headers.get("Tus-Resumable", "1.0.0" if answer.status_code == 503 else "") == "1.0.0"
    return answer.status_code, answer.json()["type"].removeprefix("urn:irisvue:problem:")


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def checksum(data: bytes, algorithm: str = "sha1") -> dict[str, str]:
    digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


async def left(service, person) -> int:
    return (await service.vault.count_objects([person.id]))[person.id]


class Upload:
    """One upload in pieces, as a client of the protocol drives it."""

    def __init__(self, person, client, url: str) -> None:
        self._person = person
        self._client = client
        self.url = url
        self.photo_id = url.partition("?")[0].rpartition("/")[2]

    async def head(self) -> Any:
        return await self._client.head(self.url, headers=TUS)

    async def offset(self) -> int:
        answer = await self.head()
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])

    async def patch(self, offset: int, data: Any, **headers: str) -> Any:
        said = {**TUS, "Upload-Offset": str(offset), "Content-Type": PIECE_TYPE, **headers}
        return await self._client.patch(self.url, content=data, headers=said)

    async def send(self, data: bytes, *, until: int) -> None:
        """Send the bytes that follow, up to a place, and see that they are acknowledged."""
        offset = await self.offset()
        answer = await self.patch(offset, data[offset:until])
        assert answer.status_code == 204, answer.text
        assert answer.headers["Upload-Offset"] == str(until)

    async def delete(self) -> Any:
        return await self._client.delete(self.url, headers=TUS)

    async def confirm(self, size: int) -> dict[str, Any]:
        answer = await self._person.call("POST", f"/{self.photo_id}/confirm", json={"file_size": size})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def ask(client):
    """Ask for an upload in pieces; return the answer as it came."""

    async def _ask(person, length: int, *, data: bytes | None = None, **headers: str) -> Any:
        said = {**TUS, "Upload-Length": str(length), **headers}
        if data is not None:
            said |= {"Content-Type": PIECE_TYPE}
        return await client.post("/api/v1/photos/uploads", content=data, headers={**person._headers, **said})

    return _ask


@pytest.fixture
def begin(ask, client):
    """Begin an upload in pieces."""

    async def _begin(person, length: int, **headers: str) -> Upload:
        answer = await ask(person, length, **headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Upload-Offset"] == "0"
        return Upload(person, client, answer.headers["Location"])

    return _begin


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a part of an upload be this small."""
    monkeypatch.setattr("storage.use_cases.resume_upload.PART_BYTES", 1024)
    return 1024


@pytest.fixture
def swept(service):
    """Do every order to destroy that is due."""

    async def _swept() -> None:
        async def nothing_is_due() -> None:
            await service.destroyer.work_once()
            async with service.unit_of_work() as uow:
                due = Destruction.next_attempt_at <= func.clock_timestamp()
                assert not await uow.session.scalar(select(func.count()).where(due))

        await eventually(nothing_is_due, seconds=30)

    return _swept


async def test_photo_that_arrives_in_pieces_is_the_one_that_a_put_would_make(
    ada, service, pictures, begin, swept, announced
) -> None:
    data = pictures.jpeg()
    upload = await begin(
        ada, len(data), **{"Upload-Metadata": metadata(filename="a.jpg", filetype="image/jpeg")}
    )
    for end in (100, 101, 1500):
        await upload.send(data, until=end)
    told = await upload.head()
    assert (told.headers["Upload-Length"], told.headers["Upload-Offset"]) == (str(len(data)), "1500")
    assert told.headers["Cache-Control"] == "no-store"
    assert told.headers["Upload-Metadata"] == metadata(filetype="image/jpeg")
    waiting = (await ada.call("GET", "?include=pending")).json()["items"]
    assert [(it["id"], it["upload_status"]) for it in waiting] == [(upload.photo_id, "pending")]
    await upload.send(data, until=len(data))
    photo = await upload.confirm(len(data))
    assert (photo["width"], photo["height"], photo["file_size"]) == (64, 48, len(data))
    original = (await ada.read(photo["original_url"])).content
    assert pictures.pixels(original) == pictures.pixels(data)
    assert not any(canary in original for canary in pictures.canaries)
    assert [event["photo_id"] for event in await announced()] == [upload.photo_id]
    await swept()
    assert await left(service, ada) == 2


async def test_what_is_spoken_is_told_without_a_token(client, settings) -> None:
    answer = await client.options("/api/v1/photos/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "expiration", "termination", "checksum"
    }  # fmt: skip
    assert set(answer.headers["Tus-Checksum-Algorithm"].split(",")) == {"sha1", "sha256"}
    assert answer.headers["Tus-Max-Size"] == str(settings.upload_limit_bytes)


@pytest.mark.parametrize("part", [0.4, 1])
async def test_upload_may_bring_bytes_with_its_beginning(ada, pictures, ask, client, part: float) -> None:
    data = pictures.png()
    size = int(part * len(data))
    answer = await ask(
        ada, len(data), data=data[:size], **{"Upload-Metadata": metadata(filetype="image/png")}
    )
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(size))
    assert answer.json()["upload_url"] == answer.headers["Location"]
    upload = Upload(ada, client, answer.headers["Location"])
    assert answer.json()["photo_id"] == upload.photo_id
    if size < len(data):
        await upload.send(data, until=len(data))
    assert (await upload.confirm(len(data)))["content_type"] == "image/png"


async def test_what_has_arrived_lies_sealed_and_encrypted_under_its_owners_key(
    ada, service, pictures, begin, small_parts
) -> None:
    data = pictures.noise(200)
    upload = await begin(ada, len(data))
    await upload.send(data, until=3000)
    async with service.unit_of_work() as uow:
        parts = parts_of(await uow.session.get(Photo, UUID(upload.photo_id)))
    assert sum(part.size for part in parts) == 3000
    store = service.vault._objects
    for part in parts:
        key = part.key
        assert (await store._client.head_object(Bucket=store._bucket, Key=key))[
            "ServerSideEncryption"
        ] == "AES256"
        kept = await store.download(key, most_bytes=10**6)
        assert kept.startswith(b"IVS")
        assert data[part.begin : part.begin + 16] not in kept
    assert await left(service, ada) == len(parts)


async def test_parts_do_not_open_in_each_others_place(ada, service, pictures, begin) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=500)
    await upload.send(data, until=1000)
    async with service.unit_of_work() as uow:
        first, second = parts_of(await uow.session.get(Photo, UUID(upload.photo_id)))
    store = service.vault._objects
    await store.upload(first.key, await store.download(second.key, most_bytes=10**6))
    assert problem(await upload.patch(1000, data[1000:])) == (410, "upload-lost")
    assert await left(service, ada) == 0


async def test_one_long_request_is_stored_part_by_part_and_holds_no_more_than_one_in_memory(
    ada, service, pictures, client, begin, small_parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures.noise(150)
    upload = await begin(ada, len(data))
    stored: list[int] = []
    put = service.vault.put_part

    async def counted(part: Part, plain: bytes) -> None:
        stored.append(len(plain))
        await put(part, plain)

    async def pieces():
        for start in range(0, len(data), 700):
            yield data[start : start + 700]

    monkeypatch.setattr(service.vault, "put_part", counted)
    assert (await upload.patch(0, pieces())).status_code == 204
    assert len(stored) == sum(stored) // 1400
    assert set(stored) == {1400}
    assert (await upload.confirm(len(data)))["file_size"] == len(data)


async def test_wrong_offset_is_refused_and_changes_nothing(ada, pictures, begin) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=500)
    for wrong in (0, 499, 501, len(data)):
        refused = await upload.patch(wrong, data[500:])
        assert problem(refused) == (409, "offset-differs")
        assert refused.headers["Upload-Offset"] == "500"
    assert await upload.offset() == 500
    await upload.send(data, until=len(data))


@pytest.mark.parametrize("announced", [True, False])
async def test_more_than_was_announced_ends_the_upload_and_nothing_is_kept(
    ada, service, pictures, begin, small_parts, announced: bool
) -> None:
    data = bytes(4001)
    upload = await begin(ada, 4000)
    await upload.send(data, until=2000)

    async def unannounced():
        for start in range(2000, 4001, 500):
            yield data[start : start + 501]

    refused = await upload.patch(2000, data[2000:4001] if announced else unannounced())
    assert problem(refused) == (413, "photo-too-large")
    assert refused.json()["limit"] == 4000
    assert await left(service, ada) == 0
    assert (await upload.head()).status_code == 410
    assert (await ada.call("GET", "?include=pending")).json()["total"] == 0


async def test_upload_of_more_than_a_photo_may_have_is_not_begun(ada, settings, ask) -> None:
    refused = await ask(ada, settings.upload_limit_bytes + 1)
    assert problem(refused) == (413, "photo-too-large")
    assert refused.json()["limit"] == settings.upload_limit_bytes
    assert (await ada.call("GET", "?include=pending")).json()["total"] == 0


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_wrong_checksum_is_refused_and_nothing_of_the_piece_is_kept(
    ada, service, pictures, begin, small_parts, algorithm: str
) -> None:
    data = pictures.noise(200)
    upload = await begin(ada, len(data))
    assert (await upload.patch(0, data[:3000], **checksum(data[:3000], algorithm))).status_code == 204
    kept = await left(service, ada)
    refused = await upload.patch(3000, data[3000:], **checksum(data[3000:-1], algorithm))
    assert problem(refused) == (460, "checksum-mismatch")
    assert (await upload.offset(), await left(service, ada)) == (3000, kept)
    assert (await upload.patch(3000, data[3000:], **checksum(data[3000:], algorithm))).status_code == 204
    assert (await upload.confirm(len(data)))["upload_status"] == "uploaded"


@pytest.mark.parametrize("header", ["md5 AAAA", "sha1", "sha1 ?", "crc32 x", ""])
async def test_checksum_that_can_not_be_read_is_refused(ada, pictures, begin, header: str) -> None:
    upload = await begin(ada, 1000)
    refused = await upload.patch(0, b"x", **{"Upload-Checksum": header})
    assert problem(refused) in {(400, "upload-header-not-read"), (460, "checksum-mismatch")}
    assert await upload.offset() == 0


@pytest.mark.parametrize("last", [False, True])
async def test_bytes_that_are_no_picture_end_the_upload_and_nothing_is_kept(
    ada, service, begin, last: bool
) -> None:
    upload = await begin(ada, 2000)
    if last:
        await upload.send(bytes(2000), until=1000)
    offset = await upload.offset()
    assert problem(await upload.patch(offset, bytes(2000 - offset))) == (415, "wrong-image-type")
    assert await left(service, ada) == 0
    assert (await upload.head()).status_code == 410


async def test_picture_of_too_many_pixels_ends_the_upload(ada, service, pictures, begin) -> None:
    bomb = pictures.png_bomb(8_000, 6_600)
    upload = await begin(ada, len(bomb), **{"Upload-Metadata": metadata(filetype="image/png")})
    assert problem(await upload.patch(0, bomb)) == (413, "photo-too-large")
    assert await left(service, ada) == 0


async def test_ended_upload_leaves_nothing(ada, service, pictures, begin, announced) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=1000)
    assert (await upload.delete()).status_code == 204
    assert await left(service, ada) == 0
    for answer in (await upload.head(), await upload.delete(), await upload.patch(1000, data[1000:])):
        assert answer.status_code == 410
    assert await announced() == []


async def test_photo_that_was_confirmed_is_not_deleted_over_its_upload_link(ada, pictures, begin) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=len(data))
    photo = await upload.confirm(len(data))
    assert problem(await upload.delete()) == (410, "upload-gone")
    assert (await ada.read(photo["original_url"])).status_code == 200


async def test_upload_says_when_it_expires_is_gone_then_and_leaves_nothing(
    ada, service, settings, pictures, begin, clock, swept
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    life = timedelta(seconds=settings.resumable_upload_seconds)
    until = parsedate_to_datetime((await upload.head()).headers["Upload-Expires"])
    assert abs(until - clock.now() - life) < timedelta(seconds=2)
    await upload.send(data, until=1000)
    clock.advance(life)
    assert problem(await upload.patch(1000, data[1000:])) == (410, "upload-gone")
    assert (await upload.head()).status_code == 410
    clock.advance(service.upload_takes + timedelta(seconds=1))
    await expire_uploads(
        service.database, upload_takes=service.upload_takes, confirm_within=timedelta(hours=24)
    )
    await swept()
    assert await left(service, ada) == 0
    assert (await ada.call("GET", "?include=pending")).json()["total"] == 0


async def test_complete_upload_answers_again_because_its_answer_may_have_been_lost(
    ada, service, pictures, begin
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=len(data))
    for _ in range(2):
        assert await upload.offset() == len(data)
        assert (await upload.patch(len(data), b"")).status_code == 204
        assert problem(await upload.patch(0, data)) == (409, "offset-differs")
        await upload.confirm(len(data))
    assert await left(service, ada) == 2


async def test_headers_of_the_protocol_are_asked_for(ada, client, ask, begin) -> None:
    upload = await begin(ada, 1000)
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        refused = await client.head(upload.url, headers=version)
        assert (refused.status_code, refused.headers["Tus-Version"]) == (412, "1.0.0")
    assert problem(await upload.patch(0, b"x", **{"Content-Type": "image/jpeg"})) == (415, "not-a-piece")
    gif = {"Upload-Metadata": metadata(filetype="image/gif")}
    assert problem(await ask(ada, 1000, **gif)) == (422, "invalid-request")
    assert problem(await ask(ada, 1000, **{"Upload-Metadata": "filetype ?"})) == (
        400,
        "upload-header-not-read",
    )
    assert (await ask(ada, 0)).status_code == 422


async def test_link_is_good_for_one_way_and_one_upload(ada, client, pictures, begin) -> None:
    data, ticket = pictures.jpeg(), await ada.ticket()
    upload, other = await begin(ada, len(data)), await begin(ada, len(data))
    over_put = upload.url.replace(f"/uploads/{upload.photo_id}", f"/{upload.photo_id}/content")
    refused = await client.put(over_put, content=data, headers={"Content-Type": "image/jpeg"})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:irisvue:problem:link-refused")
    put_link = ticket["upload_url"].replace(
        f"/{ticket['photo_id']}/content", f"/uploads/{ticket['photo_id']}"
    )
    changed = upload.url.replace(upload.photo_id, other.photo_id)
    for url in (put_link, changed, upload.url + "x"):
        assert problem(await Upload(ada, client, url).patch(0, data)) == (403, "link-refused")


async def test_without_consent_nothing_begins(stranger, ask, client) -> None:
    assert problem(await ask(stranger, 1000)) == (403, "consent-required")
    anonymous = await client.post("/api/v1/photos/uploads", headers={**TUS, "Upload-Length": "9"})
    assert problem(anonymous) == (401, "unauthorized")


async def test_withdrawal_is_noticed_without_its_event_and_ends_what_has_arrived(
    ada, consent, service, pictures, begin, swept
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=1000)
    consent.withdraw(ada.id)
    assert problem(await upload.patch(1000, data[1000:])) == (403, "consent-required")
    await swept()
    assert await left(service, ada) == 0


async def test_withdrawal_destroys_what_has_arrived_and_closes_the_upload(
    ada, consent, service, pictures, begin, deliver, swept, clock
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=1000)
    await deliver(consent.withdraw(ada.id))
    await swept()
    assert await left(service, ada) == 0
    assert (await upload.head()).status_code == 403
    consent.grant(ada.id)
    assert problem(await upload.patch(1000, data[1000:])) == (403, "consent-required")
    # The row is kept for minutes only, not for as long as the upload might have taken.
    clock.advance(timedelta(minutes=5) + service.upload_takes)
    released = await expire_uploads(
        service.database, upload_takes=service.upload_takes, confirm_within=timedelta(hours=24)
    )
    assert released == 1


async def test_part_that_was_written_while_consent_was_withdrawn_leaves_nothing(
    ada, consent, service, pictures, begin, deliver, swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    put = service.vault.put_part

    async def put_late(part: Part, plain: bytes) -> None:
        await deliver(consent.withdraw(ada.id))
        await swept()
        await put(part, plain)

    monkeypatch.setattr(service.vault, "put_part", put_late)
    assert problem(await upload.patch(0, data[:1000])) == (403, "consent-required")
    assert await left(service, ada) == 0


async def test_without_an_answer_from_consent_no_byte_is_taken_and_what_there_is_stays(
    ada, consent, pictures, begin
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=1000)
    consent.down = True
    assert problem(await upload.patch(1000, data[1000:])) == (503, "service-unavailable")
    consent.down = False
    await upload.send(data, until=len(data))
    await upload.confirm(len(data))


async def test_consent_is_asked_again_before_the_photo_is_sealed(
    ada, consent, service, pictures, begin
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    asked = 0

    async def second_time() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            consent.withdraw(ada.id)

    consent.before_answer = second_time
    assert problem(await upload.patch(0, data)) == (403, "consent-required")
    assert await left(service, ada) == 0


async def test_store_that_is_down_refuses_for_now_and_the_upload_goes_on(
    ada, road, service, pictures, begin, swept
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=500)
    road.cut()
    for piece in (data[500:1000], data[500:]):
        assert (await upload.patch(500, piece)).status_code == 503
    road.mend()
    assert await upload.offset() == 500
    await upload.send(data, until=len(data))
    await upload.confirm(len(data))
    await swept()
    assert await left(service, ada) == 2


async def test_newest_request_takes_over_from_one_that_hangs(ada, pictures, begin) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    hanging = asyncio.Event()

    async def hang():
        yield data[:100]
        hanging.set()
        await asyncio.Event().wait()

    older = asyncio.create_task(upload.patch(0, hang()))
    await hanging.wait()
    async with asyncio.timeout(5):
        await upload.send(data, until=1000)
    assert problem(await older) == (410, "upload-overtaken")
    assert await upload.offset() == 1000


async def test_of_many_requests_for_one_place_no_two_are_kept(ada, service, pictures, begin, swept) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    answers = await asyncio.gather(*(upload.patch(0, data[: 500 + n]) for n in range(6)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes.count(204) <= 1
    assert set(codes) <= {204, 409, 410}
    await upload.send(data, until=len(data))
    await swept()
    assert await left(service, ada) == 2


async def test_upload_in_too_many_pieces_is_refused(
    ada, pictures, begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.use_cases.resume_upload.MOST_PARTS", 2)
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    for end in (10, 20):
        await upload.send(data, until=end)
    assert problem(await upload.patch(20, data[20:30])) == (400, "too-many-pieces")
    await upload.send(data, until=len(data))


async def test_deleted_photo_takes_its_parts_along(ada, service, pictures, begin, swept) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=1000)
    assert (await ada.call("DELETE", f"/{upload.photo_id}")).status_code == 204
    assert await left(service, ada) == 0
    assert (await upload.head()).status_code == 410


async def test_erasure_takes_what_has_arrived_at_once_and_nothing_more_is_taken(
    ada, service, pictures, begin, deliver, clock, participation, announced
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    await upload.send(data, until=1000)
    assert await left(service, ada) == 1
    now = clock.now()
    await deliver(
        UserDeleted(user_id=ada.id, erasure_id=uuid4(), requested_at=now, deadline=now + timedelta(days=30))
    )
    await work_on_erasures(participation, service.database)
    (report,) = [it for it in await announced() if it["type"] == "storage.erasure.reported.v1"]
    assert (report["erased"]["photos"], report["erased"]["objects"]) == (1, 1)
    assert await left(service, ada) == 0
    for answer in (await upload.head(), await upload.patch(1000, data[1000:]), await upload.delete()):
        assert answer.status_code == 410


async def test_where_addresses_must_be_proved_nobody_else_begins_an_upload(ada, app, service, ask) -> None:
    proved = service.settings.model_copy(update={"proved_address_for_biometrics": True})
    app.state.service = replace(service, settings=proved)
    assert problem(await ask(ada, 1000)) == (403, "prove-address-first")


@pytest.mark.parametrize("summed", [False, True])
async def test_what_came_before_a_break_is_kept_unless_it_was_to_be_summed(
    ada, service, pictures, begin, summed: bool
) -> None:
    data = pictures.jpeg()
    upload = await begin(ada, len(data))
    query = parse_qs(urlsplit(upload.url).query)
    token = UploadToken(query["token"][0], UUID(query["session"][0]))

    came = [data[:300], data[300:700]]

    class Broken:
        async def read(self) -> bytes:
            if came:
                return came.pop(0)
            raise UploadInterrupted

    said = Checksum.parse(checksum(data)["Upload-Checksum"]) if summed else None
    piece = Piece(0, len(data), said, lambda _memory: Broken())
    with pytest.raises(UploadInterrupted):
        await service.resumable_uploads.append(UUID(upload.photo_id), token=token, piece=piece)
    assert (await upload.offset(), await left(service, ada)) == ((0, 0) if summed else (700, 1))
    await upload.send(data, until=len(data))
    await upload.confirm(len(data))
