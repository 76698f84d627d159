"""Rows A-18 to A-20 of the standards: what may be uploaded, what a log line may hold, how bytes are kept."""

import json
import os

import pytest
from pydantic import SecretStr

from storage.models import Photo
from storage.policy import Rendition
from storage.sealing import UnknownKeyEncryptionKey
from storage.vault import PhotoLocation
from storage.wiring import open_service


def problem(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:irisvue:problem:")


WRONG, LARGE = (415, "wrong-image-type"), (413, "photo-too-large")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
REFUSED = {
    "A-18-no-picture": ("image/jpeg", lambda _: b"<html>", WRONG),
    "A-18-script-behind-magic-bytes": ("image/jpeg", lambda _: b"\xff\xd8\xff" + SVG, WRONG),
    "A-18-vector-graphics": ("image/png", lambda _: SVG, WRONG),
    "A-18-archive": ("image/jpeg", lambda _: b"PK\x03\x04" + bytes(200), WRONG),
    "A-18-program": ("image/png", lambda _: b"MZ" + bytes(200), WRONG),
    "A-18-other-picture": ("image/jpeg", lambda pictures: pictures.png(), WRONG),
    "A-18-picture-of-a-type-that-is-not-taken": ("image/png", lambda pictures: pictures.gif(), WRONG),
    "A-18-random-behind-magic-bytes": ("image/png", lambda _: b"\x89PNG\r\n\x1a\n" + os.urandom(500), WRONG),
    "A-18-pixel-flood": ("image/png", lambda pictures: pictures.png_bomb(8_000, 6_600), LARGE),
    "A-18-too-many-bytes": ("image/jpeg", lambda _: bytes(25_000_001), LARGE),
}


@pytest.mark.parametrize(("declared", "make", "expected"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_honest_picture_is_refused_and_nothing_of_it_kept(
    ada, service, pictures, declared, make, expected
) -> None:
    answer = await ada.put(await ada.ticket(declared), make(pictures), declared)
    assert problem(answer) == expected
    assert await service.vault.count_objects([ada.id]) == {ada.id: 0}


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"], ids="A-18-metadata-of-{}".format)
async def test_of_metadata_and_of_an_archive_behind_the_picture_nothing_is_left(ada, pictures, kind) -> None:
    sent = getattr(pictures, kind)()
    photo = await ada.upload(sent, f"image/{kind}")
    for link in ("original_url", "thumbnail_url"):
        read = (await ada.read(photo[link])).content
        assert not any(canary in read for canary in (*pictures.canaries, b"PK\x03\x04", b"Exif\x00\x00MM"))


NAMES = {
    "A-18-file-name": {"file_name": "../../canary.jpg"},
    "A-18-key": {"s3_key": "canary/../../key"},
    "A-18-id": {"photo_id": "canary"},
}


@pytest.mark.parametrize("wish", NAMES.values(), ids=NAMES)
async def test_names_are_made_here_and_say_nothing(ada, wish) -> None:
    async def ticket():
        answer = await ada.call("POST", "/upload", json={"content_type": "image/jpeg", **wish})
        assert answer.status_code == 201
        return answer.json()

    first, second = await ticket(), await ticket()
    assert first["s3_key"] != second["s3_key"]
    assert first["photo_id"] != second["photo_id"]
    assert "canary" not in json.dumps([first, second])
    assert str(ada.id) not in first["s3_key"]


@pytest.mark.parametrize("row", ["A-19-links-to-photos"])
async def test_no_log_line_holds_a_link_a_person_or_a_part_of_a_picture(ada, pictures, capsys, row) -> None:
    capsys.readouterr()
    ticket = await ada.ticket()
    await ada.put(ticket, b"canary-text")
    await ada.put(ticket, pictures.jpeg())
    await ada.call("POST", f"/{ticket['photo_id']}/confirm", json={"file_size": 1})
    size = {"file_size": len(pictures.jpeg())}
    photo = (await ada.call("POST", f"/{ticket['photo_id']}/confirm", json=size)).json()
    await ada.read(photo["original_url"])
    await ada.read(photo["original_url"] + "canary")
    logged = "".join(capsys.readouterr())
    assert "/content" in logged, row
    secrets = [ticket["upload_url"].partition("?")[2], photo["original_url"].partition("?")[2]]
    canaries = [*secrets, *(part.partition("=")[2] for part in secrets), photo["s3_key"], str(ada.id)]
    assert [canary for canary in (*canaries, "canary") if canary in logged] == []


@pytest.fixture
def with_keys(settings, clock):
    """Return a function that opens storage with another ring of key-encryption keys."""

    def _with(change):
        ring = json.loads(settings.key_encryption_keys.get_secret_value())
        return open_service(
            settings.model_copy(update={"key_encryption_keys": SecretStr(json.dumps(change(ring)))}), clock
        )

    return _with


def rotated(ring):
    return {"active": "next", "keys": {**ring["keys"], "next": os.urandom(32).hex()}}


def without_the_old_keys(ring):
    return {"active": "next", "keys": {"next": rotated(ring)["keys"]["next"]}}


@pytest.fixture
async def place(ada, service, pictures):
    photo = await ada.upload(pictures.jpeg())
    async with service.unit_of_work() as uow:
        row = await uow.session.get(Photo, photo["id"])
    return PhotoLocation.of(row)


@pytest.mark.parametrize("row", ["A-20-rotated-without-a-new-upload"])
async def test_a_photo_opens_after_the_key_encryption_key_was_rotated(service, place, with_keys, row) -> None:
    before = await service.vault.get(place, Rendition.ORIGINAL)
    async with with_keys(rotated) as later:
        assert await later.vault.get(place, Rendition.ORIGINAL) == before, row


@pytest.mark.parametrize("row", ["A-20-a-key-that-is-lost-is-named"])
async def test_a_photo_whose_key_encryption_key_is_gone_says_which_one(place, with_keys, row) -> None:
    async with with_keys(without_the_old_keys) as later:
        with pytest.raises(UnknownKeyEncryptionKey):
            await later.vault.get(place, Rendition.ORIGINAL)


@pytest.mark.parametrize("row", ["A-20-format-at-the-head"])
async def test_a_sealed_object_says_how_it_is_sealed(service, place, row) -> None:
    sealed = await service.vault._objects.download(place.key(Rendition.ORIGINAL), most_bytes=10**7)
    assert sealed[:5] == b"IVS\x01\x01", row
