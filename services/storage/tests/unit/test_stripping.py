"""Stripping: everything but the picture goes, not one pixel changes."""

import io
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from storage.stripping.exif import minimal_exif, read_orientation
from storage.stripping.frame import MalformedImage, Stripped
from storage.stripping.jpeg import strip_jpeg
from storage.stripping.png import strip_png
from storage.stripping.webp import strip_webp

Strip = Callable[[bytes], Stripped]


def assert_clean(data: bytes, pictures) -> None:
    for canary in (
        *pictures.canaries,
        b"Exif",
        b"eXIf",
        b"EXIF",
        b"photoshop",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"tIME",
    ):
        assert canary not in data, canary
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert not image.getexif()
        assert "xmp" not in image.info
        assert "comment" not in image.info


def test_a_jpeg_loses_its_metadata_and_keeps_its_pixels(pictures) -> None:
    original = pictures.jpeg()
    assert all(canary in original for canary in pictures.canaries)
    stripped = strip_jpeg(original)
    assert_clean(stripped.data, pictures)
    assert pictures.pixels(stripped.data) == pictures.pixels(original)
    assert stripped.data.endswith(b"\xff\xd9")


def test_a_jpeg_ends_at_its_first_end_marker(pictures) -> None:
    for original in (pictures.jpeg(), pictures.jpeg(progressive=True), pictures.plain_jpeg()):
        assert strip_jpeg(original).data.count(b"\xff\xd9") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"quality": 100, "subsampling": 0},
        {"restart_marker_blocks": 1},
        {"optimize": True},
    ],
)
def test_every_coding_of_a_jpeg_keeps_its_pixels(pictures, options: dict[str, object]) -> None:
    original = pictures.jpeg(200, 150, **options)
    stripped = strip_jpeg(original)
    assert_clean(stripped.data, pictures)
    assert pictures.pixels(stripped.data) == pictures.pixels(original)


def test_a_cmyk_jpeg_keeps_the_adobe_segment_that_its_colours_need(pictures) -> None:
    target = io.BytesIO()
    pictures.gradient(mode="CMYK").save(target, "JPEG", quality=95)
    stripped = strip_jpeg(target.getvalue())
    assert pictures.pixels(stripped.data) == pictures.pixels(target.getvalue())
    assert b"Adobe" in stripped.data


def test_metadata_between_the_scans_of_a_jpeg_is_dropped_too(pictures) -> None:
    original = pictures.jpeg(200, 150, progressive=True)
    last_scan = original.rindex(b"\xff\xda")
    comment = b"\xff\xfe\x00\x10canary-comment"
    hidden = original[:last_scan] + comment + original[last_scan:]
    stripped = strip_jpeg(hidden)
    assert_clean(stripped.data, pictures)
    assert pictures.pixels(stripped.data) == pictures.pixels(original)


def test_a_preview_inside_the_jfif_header_is_dropped(pictures) -> None:
    plain = pictures.plain_jpeg()
    assert plain[2:4] == b"\xff\xe0"
    after_header = plain[4 + int.from_bytes(plain[4:6]) :]
    preview = b"\xff\xe0" + (16 + 3 * 4).to_bytes(2) + plain[6:18] + b"\x02\x02" + b"canary-prevw"
    extension = b"\xff\xe0\x00\x14JFXX\x00\x10canary-prevw"
    stripped = strip_jpeg(plain[:2] + preview + extension + after_header)
    assert b"canary" not in stripped.data
    assert pictures.pixels(stripped.data) == pictures.pixels(plain)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "strip"), [("jpeg", strip_jpeg), ("png", strip_png), ("webp", strip_webp)])
def test_the_orientation_is_the_only_metadata_that_stays(
    pictures, kind: str, strip: Strip, orientation: int
) -> None:
    original = getattr(pictures, kind)(orientation=orientation)
    stripped = strip(original)
    assert stripped.orientation == orientation
    with Image.open(io.BytesIO(stripped.data)) as image:
        assert dict(image.getexif()) == ({} if orientation == 1 else {0x0112: orientation})
    assert pictures.pixels(stripped.data) == pictures.pixels(original)
    assert not any(canary in stripped.data for canary in pictures.canaries)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_a_png_loses_its_metadata_and_keeps_its_pixels(pictures, mode: str) -> None:
    original = pictures.png(mode=mode)
    stripped = strip_png(original)
    assert_clean(stripped.data, pictures)
    assert pictures.pixels(stripped.data) == pictures.pixels(original)
    assert b"gAMA" in stripped.data
    assert stripped.data.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_loses_its_metadata_and_keeps_its_pixels(pictures, lossless: bool) -> None:
    original = pictures.webp(lossless=lossless)
    stripped = strip_webp(original)
    assert_clean(stripped.data, pictures)
    assert pictures.pixels(stripped.data) == pictures.pixels(original)
    assert stripped.data[20] & 0x0C == 0
    assert int.from_bytes(stripped.data[4:8], "little") == len(stripped.data) - 8


def test_a_simple_webp_passes_unchanged(pictures) -> None:
    target = io.BytesIO()
    pictures.gradient().save(target, "WEBP")
    assert strip_webp(target.getvalue()).data == target.getvalue()


def test_an_animated_webp_is_refused(pictures) -> None:
    target = io.BytesIO()
    frames = [pictures.gradient(), pictures.gradient().rotate(90)]
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(MalformedImage, match="animated"):
        strip_webp(target.getvalue())


@pytest.mark.parametrize(("kind", "strip"), [("jpeg", strip_jpeg), ("png", strip_png), ("webp", strip_webp)])
def test_a_truncated_file_is_refused_wherever_it_ends(pictures, kind: str, strip: Strip) -> None:
    original = pictures.plain_jpeg() if kind == "jpeg" else getattr(pictures, kind)()
    whole = strip(original).data
    # Whole is a JPEG that lacks nothing but its end marker, and a PNG whose rows are there: behind them stand
    # the end of their packing (at most 6 bytes), a checksum, and the length of IEND.
    needed = {"jpeg": len(original) - 2, "png": whole.find(b"IEND") - 14, "webp": len(whole)}[kind]
    whole = original if kind == "jpeg" else whole
    for length in range(needed):
        with pytest.raises(MalformedImage):
            strip(whole[:length])


@pytest.mark.parametrize("missing", [4, 8, 12, 14])
def test_a_png_that_breaks_off_behind_its_pixels_is_whole(pictures, missing: int) -> None:
    stripped = strip_png(pictures.png())
    assert pictures.pixels(strip_png(stripped.data[:-missing]).data) == pictures.pixels(stripped.data)


def test_pixels_of_a_png_count_whatever_the_length_and_checksum_of_their_chunk_say(pictures) -> None:
    whole = strip_png(pictures.png()).data
    at, end = whole.index(b"IDAT"), whole.index(b"IEND")
    wrong_length = whole[: at - 4] + b"\x3f\xff\xff\xff" + whole[at:]
    wrong_checksum = whole[: end - 8] + b"\x00\x00\x00\x00" + whole[end - 4 :]
    for damaged in (wrong_length, wrong_checksum):
        stripped = strip_png(damaged)
        assert pictures.pixels(stripped.data) == pictures.pixels(whole)
        assert strip_png(stripped.data).data == stripped.data


def test_a_png_chunk_with_a_wrong_checksum_is_refused(pictures) -> None:
    broken = bytearray(pictures.png())
    broken[30] ^= 1
    with pytest.raises(MalformedImage, match="checksum"):
        strip_png(bytes(broken))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + b"\xff" * 5000,
        b"\xff\xd8\xff\xe0\x00\x01\xff\xd9",
    ],
)
def test_a_jpeg_without_a_picture_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedImage):
        strip_jpeg(data)


def test_long_runs_of_fill_bytes_cost_linear_time(pictures) -> None:
    plain = pictures.plain_jpeg()
    start = plain.index(b"\xff\xda")
    scan = plain[: start + 14] + b"\xff\x00" * 2_000_000 + b"\xff" * 2_000_000 + b"\xff\xd9"
    assert strip_jpeg(scan).data.endswith(b"\xff\xd9")


def test_an_orientation_that_makes_no_sense_is_none() -> None:
    assert read_orientation(b"") == 1
    assert read_orientation(b"II*\x00\xff\xff\xff\xff") == 1
    assert read_orientation(minimal_exif(9)) == 1
    assert read_orientation(b"II*\x00" + struct.pack("<IH", 8, 65535)) == 1
    assert read_orientation(minimal_exif(6)) == 6
