"""Links: bound to one photo, one rendition, one method and a time; upload tokens are secrets of 256 bits."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from storage.links import Links, UploadToken, UploadWay
from storage.policy import LinkGone, LinkRefused, Rendition

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SESSION = uuid4()
LINKS = Links(b"k" * 32, public_url="https://iris.example/", read_for=timedelta(minutes=5))


def parts_of(url: str) -> tuple[int, str]:
    query = parse_qs(urlsplit(url).query)
    return int(query["expires"][0]), query["signature"][0]


def test_a_link_is_accepted_until_it_expires() -> None:
    photo_id = uuid4()
    url = LINKS.read_url(photo_id, Rendition.ORIGINAL, session_id=SESSION, now=NOW)
    assert url.startswith(f"https://iris.example/api/v1/photos/{photo_id}/content?")
    expires, signature = parts_of(url)
    late = datetime.fromtimestamp(expires, UTC)
    assert timedelta(seconds=150) < late - NOW <= timedelta(minutes=5)

    def check(now: datetime) -> None:
        LINKS.check(
            photo_id, Rendition.ORIGINAL, session_id=SESSION, expires=expires, signature=signature, now=now
        )

    check(late - timedelta(seconds=1))
    with pytest.raises(LinkGone):
        check(late)


def test_every_part_of_a_link_is_signed() -> None:
    photo_id = uuid4()
    url = LINKS.read_url(photo_id, Rendition.ORIGINAL, session_id=SESSION, now=NOW)
    expires, signature = parts_of(url)
    other_key = Links(b"x" * 32, public_url="https://iris.example", read_for=timedelta(minutes=5))
    for links, photo, rendition, session, until, signed in (
        (LINKS, uuid4(), Rendition.ORIGINAL, SESSION, expires, signature),
        (LINKS, photo_id, Rendition.THUMBNAIL, SESSION, expires, signature),
        (LINKS, photo_id, Rendition.ORIGINAL, uuid4(), expires, signature),
        (LINKS, photo_id, Rendition.ORIGINAL, SESSION, expires + 1, signature),
        (LINKS, photo_id, Rendition.ORIGINAL, SESSION, expires, signature[:-1]),
        (LINKS, photo_id, Rendition.ORIGINAL, SESSION, expires, ""),
        (LINKS, photo_id, Rendition.ORIGINAL, SESSION, expires, "\N{SNOWMAN}"),
        (other_key, photo_id, Rendition.ORIGINAL, SESSION, expires, signature),
    ):
        with pytest.raises(LinkRefused):
            links.check(photo, rendition, session_id=session, expires=until, signature=signed, now=NOW)


def test_upload_tokens_are_long_and_different_and_kept_as_hashes() -> None:
    photo = uuid4()
    tokens = {LINKS.upload_token(photo, SESSION).text for _ in range(100)}
    assert len(tokens) == 100
    assert min(len(token) for token in tokens) >= 43
    for text in tokens:
        LINKS.check_upload(photo, UploadToken(text, SESSION))
    token = UploadToken("secret", SESSION)
    assert len(token.digest()) == 64
    assert token.text not in token.digest()
    assert UploadToken("secret", uuid4()).digest() != token.digest()
    query = parse_qs(urlsplit(LINKS.upload_url(uuid4(), token)).query)
    assert query == {"session": [str(SESSION)], "token": ["secret"]}


def test_upload_token_is_good_for_its_photo_and_session_only() -> None:
    photo = uuid4()
    token = LINKS.upload_token(photo, SESSION)
    other_first = "B" if token.text[0] == "A" else "A"
    others = (
        (uuid4(), token),
        (photo, UploadToken(token.text, uuid4())),
        (photo, UploadToken(token.text[:-1] + "x", SESSION)),
        (photo, UploadToken(other_first + token.text[1:], SESSION)),
        (photo, UploadToken("", SESSION)),
        (photo, UploadToken("secret.é", SESSION)),
    )
    for other, changed in others:
        with pytest.raises(LinkRefused):
            LINKS.check_upload(other, changed)


def test_upload_token_is_good_for_one_way_only() -> None:
    photo = uuid4()
    for way, other in ((UploadWay.WHOLE, UploadWay.IN_PIECES), (UploadWay.IN_PIECES, UploadWay.WHOLE)):
        token = LINKS.upload_token(photo, SESSION, way)
        LINKS.check_upload(photo, token, way)
        with pytest.raises(LinkRefused):
            LINKS.check_upload(photo, token, other)
    assert f"/uploads/{photo}?" in LINKS.upload_url(photo, token, UploadWay.IN_PIECES)
