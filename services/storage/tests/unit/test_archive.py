"""An archive is the same whether it is written in one go or gone on with, and every reader opens it."""

import io
import random
import zipfile
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from chassis.sealing import SealBroken
from storage.exports.archive import AS_IS, PACKED, ArchiveWriter, pieces_of
from storage.exports.manifest import manifest
from storage.exports.pages import index_page, readme
from storage.exports.streaming_aead import open_stream, seal_stream

AT = datetime(2026, 11, 22, 11, 30, 20, tzinfo=UTC)
FILES = [(f"photos/{number}.jpg", random.Random(number).randbytes(50_000)) for number in range(5)]


def add(writer: ArchiveWriter, name: str, content: bytes, photo_id: UUID | None = None):
    writer.begin(name, level=AS_IS if photo_id else PACKED)
    for piece in pieces_of(content, size=7_000):
        writer.write(piece)
    return writer.end(photo_id=photo_id)


def whole() -> bytes:
    writer = ArchiveWriter(AT)
    for name, content in FILES:
        add(writer, name, content, uuid4())
    writer.finish()
    return writer.take()


def test_archive_opens_and_has_what_was_put_in() -> None:
    with zipfile.ZipFile(io.BytesIO(whole())) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == dict(FILES)
        assert {info.date_time for info in archive.infolist()} == {(2026, 11, 22, 11, 30, 20)}


@pytest.mark.parametrize("left_after", range(len(FILES) + 1))
def test_archive_that_was_left_is_gone_on_with_to_the_same_bytes(left_after: int) -> None:
    first = ArchiveWriter(AT)
    kept = [add(first, name, content, uuid4()) for name, content in FILES[:left_after]]
    begun = first.take()
    # What was begun and never ended is written anew.
    first.begin("photos/begun.jpg", level=AS_IS)
    first.write(b"never kept")
    first.leave()

    second = ArchiveWriter(AT, position=len(begun), written=kept)
    for name, content in FILES[left_after:]:
        add(second, name, content, uuid4())
    second.finish()
    assert begun + second.take() == whole()


def test_manifest_and_pages_tell_of_every_file() -> None:
    writer = ArchiveWriter(AT)
    files = [add(writer, name, content, uuid4()) for name, content in FILES]
    files += [
        add(writer, f"{folder}/identity{end}", b"{}")
        for folder, end in (("schemas", ".schema.json"), ("data", ".json"))
    ]
    writer.leave()
    told = manifest(uuid4(), AT, files).decode()
    assert all(file.sha256 in told for file in files)
    assert '"schema": "schemas/identity.schema.json"' in told
    page = index_page(files, AT).decode()
    assert all(file.name in page for file in files)
    assert "2026-11-22" in readme(AT).decode()


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 3_000_000])
def test_sealed_part_opens_to_the_same_bytes_and_hides_them(size: int) -> None:
    plain, key = random.Random(size).randbytes(size), bytes(range(32))
    sealed = seal_stream(plain, key=key, context=b"a part")
    assert open_stream(sealed, key=key, context=b"a part") == plain
    # Few bytes stand in others by chance.
    assert size < 100 or plain[:100] not in sealed
    assert seal_stream(plain, key=key, context=b"a part") != sealed


@pytest.mark.parametrize("fault", ["bit", "cut", "longer", "key", "context", "empty"])
def test_part_that_was_changed_or_belongs_elsewhere_does_not_open(fault: str) -> None:
    key = bytes(range(32))
    sealed = seal_stream(bytes(2_500_000), key=key, context=b"a part")
    changed = {
        "bit": sealed[:1_500_000] + bytes([sealed[1_500_000] ^ 1]) + sealed[1_500_001:],
        "cut": sealed[: 1 << 20],
        "longer": sealed + b"more",
        "empty": b"",
    }.get(fault, sealed)
    with pytest.raises(SealBroken):
        open_stream(
            changed,
            key=bytes(32) if fault == "key" else key,
            context=b"another" if fault == "context" else b"a part",
        )
