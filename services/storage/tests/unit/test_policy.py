"""Storage's pure rules: ranges, upload states, what a consent covers."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from storage.policy import (
    ByteRange,
    ConsentState,
    RangeNotSatisfiable,
    UploadStatus,
    parse_range,
    upload_status,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 0)),
        ("bytes=0-99", ByteRange(0, 99)),
        ("bytes=0-1000", ByteRange(0, 99)),
        ("bytes=50-", ByteRange(50, 99)),
        ("bytes=-10", ByteRange(90, 99)),
        ("bytes=-1000", ByteRange(0, 99)),
        (" bytes=1-2 ", ByteRange(1, 2)),
        ("Bytes=1-2", ByteRange(1, 2)),
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_one_range_is_honoured_and_anything_else_means_the_whole(
    header: str | None, expected: ByteRange | None
) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize(("header", "length"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)])
def test_a_range_outside_is_not_satisfiable_and_says_the_length(header: str, length: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as refusal:
        parse_range(header, length)
    assert refusal.value.headers["Content-Range"] == f"bytes */{length}"


@pytest.mark.parametrize(
    ("confirmed", "received", "lost", "link_for", "expected"),
    [
        (True, True, False, -1, UploadStatus.UPLOADED),
        (True, True, True, -1, UploadStatus.FAILED),
        (False, True, False, -1, UploadStatus.PENDING),
        (False, False, False, 1, UploadStatus.PENDING),
        (False, False, False, 0, UploadStatus.FAILED),
        (False, False, False, -1, UploadStatus.FAILED),
    ],
)
def test_the_state_of_an_upload_is_told(
    confirmed: bool, received: bool, lost: bool, link_for: int, expected: UploadStatus
) -> None:
    state = upload_status(
        confirmed=confirmed,
        received=received,
        lost=lost,
        link_expires_at=NOW + timedelta(seconds=link_for),
        now=NOW,
    )
    assert state is expected


@pytest.mark.parametrize(
    ("granted", "withdrawn_epoch", "photo_epoch", "covered"),
    [(True, 0, 1, True), (True, 2, 1, False), (True, 2, 2, False), (True, 2, 3, True), (False, 0, 1, False)],
)
def test_a_consent_covers_what_was_never_withdrawn_from(
    granted: bool, withdrawn_epoch: int, photo_epoch: int, covered: bool
) -> None:
    answer = ConsentState(granted, uuid4(), epoch=3, withdrawn_epoch=withdrawn_epoch)
    assert answer.covers(photo_epoch) is covered
