"""The words of tus, and the parts of an upload."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from storage.models import Photo
from storage.parts import MOST_PARTS, arrived, listed, parts_of
from storage.tus import (
    Checksum,
    ChecksumMismatch,
    UploadHeaderNotRead,
    read_metadata,
    written_date,
    written_metadata,
)


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (None, {}),
        ("", {}),
        ("filetype aW1hZ2UvcG5n", {"filetype": "image/png"}),
        ("filename dsOkci5qcGc=, filetype aW1hZ2UvcG5n", {"filename": "vär.jpg", "filetype": "image/png"}),
        ("is_confidential,filetype  aW1hZ2UvcG5n", {"is_confidential": "", "filetype": "image/png"}),
        ("filetype /w==", {"filetype": "\N{REPLACEMENT CHARACTER}"}),
    ],
)
def test_metadata_is_read_as_clients_write_it(header: str | None, read: dict[str, str]) -> None:
    assert read_metadata(header) == read


def test_metadata_that_is_written_is_read_again() -> None:
    assert read_metadata(written_metadata(filetype="image/heic", x="é")) == {
        "filetype": "image/heic",
        "x": "é",
    }


@pytest.mark.parametrize("header", ["filetype ?", "filetype aW1h Z2Uv", "filetype aW1hZ2U"])
def test_metadata_in_another_form_is_refused(header: str) -> None:
    with pytest.raises(UploadHeaderNotRead):
        read_metadata(header)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_checksum_accepts_its_bytes_and_no_others(algorithm: str) -> None:
    digest = base64.b64encode(hashlib.new(algorithm, b"piece").digest()).decode()
    checksum = Checksum.parse(f"{algorithm} {digest}")
    assert checksum is not None
    hashed = checksum.begun()
    hashed.update(b"pie")
    hashed.update(b"ce")
    checksum.verify(hashed)
    hashed.update(b".")
    with pytest.raises(ChecksumMismatch):
        checksum.verify(hashed)


@pytest.mark.parametrize("header", ["", "sha1", "md5 AAAA", "SHA1 AAAA", "sha1 ?"])
def test_checksum_in_another_form_is_refused_or_matches_nothing(header: str) -> None:
    try:
        checksum = Checksum.parse(header)
    except UploadHeaderNotRead:
        return
    assert checksum is not None
    with pytest.raises(ChecksumMismatch):
        checksum.verify(checksum.begun())


def test_date_is_told_in_gmt() -> None:
    moment = datetime(2027, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert written_date(moment) == "Sat, 02 Jan 2027 03:04:05 GMT"
    assert written_date(moment.astimezone(UTC)) == written_date(moment)


def test_parts_follow_each_other_and_none_is_the_beginning_of_another_ones_name() -> None:
    photo = Photo(
        id=uuid4(), user_id=uuid4(), s3_key="person/photo/1/original", upload_parts=[4, 1, 40, 1, 400, 13]
    )
    parts = parts_of(photo)
    assert [(part.begin, part.end, part.attempt) for part in parts] == [(0, 4, 1), (4, 44, 1), (44, 444, 13)]
    assert (listed(parts), arrived(photo)) == (photo.upload_parts, 444)
    names = [part.name for part in parts]
    assert not any(one != other and other.startswith(one) for one in names for other in names)
    assert len({part.label.associated_data() for part in parts}) == 3


def test_all_has_arrived_of_a_photo_that_is_there_and_nothing_of_one_that_is_not() -> None:
    assert arrived(Photo(received_bytes=7, upload_parts=None)) == 7
    assert arrived(Photo(received_bytes=None, upload_parts=None)) == 0
    assert parts_of(Photo(s3_key="person/photo/1/original", upload_parts=None)) == []


def test_pieces_of_a_thousandth_of_a_photo_always_fit() -> None:
    assert MOST_PARTS * 25_000 >= 25_000_000
