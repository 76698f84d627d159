"""Nothing travels behind a picture: what the decoder does not use is not in the copy, wherever it was put."""

import io
import re
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageCms

from storage.stripping.frame import MalformedImage, Stripped
from storage.stripping.icc import clean_profile
from storage.stripping.jpeg import strip_jpeg
from storage.stripping.png import strip_png
from storage.stripping.webp import strip_webp

SECRET = b"moov location Berlin 52.5200 13.4050 " * 200
END = b"\xff\xd9"


def jpeg(pictures, **options: object) -> bytes:
    target = io.BytesIO()
    pictures.gradient(200, 150, mode=str(options.pop("mode", "RGB"))).save(target, "JPEG", **options)
    return target.getvalue()


def samples_of_jpeg(data: bytes) -> tuple[str, bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.tobytes()


JPEG_HIDING_PLACES: dict[str, Callable[[bytes], bytes]] = {
    "in front of a late end marker": lambda plain: plain[:-2] + SECRET + END,
    "behind the end marker": lambda plain: plain + SECRET + END,
    "behind a restart marker": lambda plain: plain[:-2] + b"\xff\xd0" + SECRET + END,
    "in a segment that defines the number of lines": lambda plain: (
        plain[:-2] + b"\xff\xdc" + (len(SECRET) + 2).to_bytes(2) + SECRET + END
    ),
    "behind the scan, without an end marker": lambda plain: plain[:-2] + SECRET,
    "between two segments": lambda plain: plain[:2] + SECRET + plain[2:],
    "in a comment": lambda plain: (
        plain[:2] + b"\xff\xfe" + (len(SECRET) + 2).to_bytes(2) + SECRET + plain[2:]
    ),
    "in a table that nobody uses": lambda plain: (
        plain[:2]
        + b"\xff\xc4"
        + struct.pack(">HB", 19 + 16, 0x13)
        + bytes([0] * 7 + [16] + [0] * 8)
        + SECRET[:16]
        + plain[2:]
    ),
    "in a profile that is none": lambda plain: (
        plain[:2]
        + b"\xff\xe2"
        + (len(SECRET) + 16).to_bytes(2)
        + b"ICC_PROFILE\x00\x01\x01"
        + SECRET
        + plain[2:]
    ),
}


@pytest.mark.parametrize("place", JPEG_HIDING_PLACES)
def test_what_the_decoder_does_not_use_is_not_in_a_jpeg(pictures, place: str) -> None:
    plain = jpeg(pictures, quality=90)
    hidden = JPEG_HIDING_PLACES[place](plain)
    stripped = strip_jpeg(hidden).data
    assert SECRET[:16] not in stripped
    assert len(stripped) < len(plain) + 100
    assert samples_of_jpeg(stripped) == samples_of_jpeg(plain)


def test_bytes_in_front_of_every_restart_marker_are_not_in_the_copy(pictures) -> None:
    plain = jpeg(pictures, quality=90, restart_marker_blocks=20)
    hidden = re.sub(rb"\xff([\xd0-\xd7])", lambda found: SECRET + found.group(), plain)
    assert hidden.count(SECRET) > 3
    stripped = strip_jpeg(hidden).data
    assert SECRET[:16] not in stripped
    assert samples_of_jpeg(stripped) == samples_of_jpeg(plain)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 30},
        {"quality": 100, "subsampling": 0},
        {"quality": 90, "subsampling": 1},
        {"quality": 90, "progressive": True},
        {"quality": 90, "restart_marker_blocks": 7},
        {"quality": 75, "optimize": True, "smooth": 10},
    ],
)
def test_not_one_sample_of_a_jpeg_changes(pictures, mode: str, options: dict[str, object]) -> None:
    plain = jpeg(pictures, mode=mode, **options)
    assert samples_of_jpeg(strip_jpeg(plain).data) == samples_of_jpeg(plain)


def test_a_complete_jpeg_without_an_end_marker_is_accepted_and_a_cut_one_refused(pictures) -> None:
    plain = jpeg(pictures, quality=90)
    assert samples_of_jpeg(strip_jpeg(plain[:-2]).data) == samples_of_jpeg(plain)
    with pytest.raises(MalformedImage, match="ends early"):
        strip_jpeg(plain[:-40])


def png_with(pictures, extra: Callable[[bytes], list[tuple[bytes, bytes]]]) -> tuple[bytes, bytes]:
    """A PNG of colour, plain and with other chunks in place of its pixels."""
    target = io.BytesIO()
    pictures.gradient(80, 60).save(target, "PNG")
    plain = target.getvalue()
    start = plain.index(b"IDAT") - 4
    length = int.from_bytes(plain[start : start + 4])
    chunks = b"".join(
        pictures.png_chunk(kind, body) for kind, body in extra(plain[start + 8 : start + 8 + length])
    )
    return plain, plain[:start] + chunks + plain[start + 12 + length :]


PNG_HIDING_PLACES: dict[str, Callable[[bytes], list[tuple[bytes, bytes]]]] = {
    "behind the end of the pixels' stream": lambda packed: [(b"IDAT", packed + SECRET)],
    "in a chunk of pixels of its own": lambda packed: [(b"IDAT", packed), (b"IDAT", SECRET)],
    "below the last row": lambda packed: [(b"IDAT", zlib.compress(zlib.decompress(packed) + SECRET, 0))],
    "in a palette that a coloured picture does not need": lambda packed: [
        (b"PLTE", SECRET[:768]),
        (b"IDAT", packed),
    ],
    "in a chunk of another size": lambda packed: [(b"gAMA", SECRET), (b"IDAT", packed)],
    "in a transparent colour": lambda packed: [
        (b"tRNS", b"\x00\x01\x00\x02\x00\x03" + SECRET),
        (b"IDAT", packed),
    ],
    "in a profile that is none": lambda packed: [
        (b"iCCP", b"name\x00\x00" + zlib.compress(SECRET, 0)),
        (b"IDAT", packed),
    ],
    "in the name of a profile": lambda packed: [
        (b"iCCP", SECRET[:70] + b"\x00\x00" + zlib.compress(clean_srgb())),
        (b"IDAT", packed),
    ],
    "in a chunk of nobody": lambda packed: [(b"prIv", SECRET), (b"IDAT", packed)],
}


def clean_srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("place", PNG_HIDING_PLACES)
def test_what_the_decoder_does_not_use_is_not_in_a_png(pictures, place: str) -> None:
    plain, hidden = png_with(pictures, PNG_HIDING_PLACES[place])
    stripped = strip_png(hidden).data
    assert SECRET[:16] not in stripped
    with Image.open(io.BytesIO(stripped)) as kept, Image.open(io.BytesIO(plain)) as sent:
        assert kept.tobytes() == sent.tobytes()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 17)])
def test_the_rows_of_every_png_are_counted_right(pictures, bits: int, size: tuple[int, int]) -> None:
    target = io.BytesIO()
    pictures.gradient(*size, mode="P").quantize(2).save(target, "PNG", bits=bits)
    assert pictures.pixels(strip_png(target.getvalue()).data) == pictures.pixels(target.getvalue())


def webp_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, position = [], 12
    while position < len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        chunks.append((data[position : position + 4], data[position + 8 : position + 8 + size]))
        position += 8 + size + size % 2
    return chunks


def webp_file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2) for kind, payload in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_what_the_decoder_does_not_use_is_not_in_a_webp(pictures, mode: str, *, lossless: bool) -> None:
    target = io.BytesIO()
    image = pictures.gradient(200, 150)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(target, "WEBP", lossless=lossless, exact=True, icc_profile=pictures.profile())
    plain = target.getvalue()
    stripped = strip_webp(webp_file([(kind, payload + SECRET) for kind, payload in webp_chunks(plain)])).data
    assert SECRET[:16] not in stripped
    assert abs(len(stripped) - len(strip_webp(plain).data)) < 16 * 3
    assert pictures.pixels(stripped) == pictures.pixels(plain)


def test_bytes_in_the_first_partition_of_a_webp_are_cut_off(pictures) -> None:
    target = io.BytesIO()
    pictures.gradient(200, 150).save(target, "WEBP", quality=80)
    ((kind, payload),) = webp_chunks(target.getvalue())
    tag = int.from_bytes(payload[:3], "little")
    end = 10 + (tag >> 5)
    longer = (tag & 0x1F | (tag >> 5) + len(SECRET) << 5).to_bytes(3, "little")
    hidden = webp_file([(kind, longer + payload[3:end] + SECRET + payload[end:])])
    assert pictures.pixels(hidden) == pictures.pixels(target.getvalue())
    stripped = strip_webp(hidden).data
    assert SECRET[:16] not in stripped
    assert pictures.pixels(stripped) == pictures.pixels(target.getvalue())


STRIPS: dict[str, Callable[[bytes], Stripped]] = {"JPEG": strip_jpeg, "PNG": strip_png, "WEBP": strip_webp}


@pytest.mark.parametrize("name", STRIPS)
def test_a_profile_keeps_its_colours_and_loses_its_texts(pictures, name: str) -> None:
    target = io.BytesIO()
    pictures.gradient().save(target, name, icc_profile=pictures.profile("canary-comment"), quality=90)
    stripped = STRIPS[name](target.getvalue()).data
    with Image.open(io.BytesIO(stripped)) as kept, Image.open(io.BytesIO(target.getvalue())) as sent:
        profile = kept.info["icc_profile"]
        assert shown(kept, profile) == shown(sent, sent.info["icc_profile"])
    assert "canary-comment".encode("utf-16-be") not in profile
    assert not ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()


def shown(image: Image.Image, profile: bytes) -> bytes:
    """The pixels in another colour space."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    lab = ImageCms.createProfile("LAB")
    changed = ImageCms.profileToProfile(image.convert("RGB"), source, lab, outputMode="LAB")
    assert changed is not None
    return changed.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda profile: profile + bytes(70_000),
        lambda profile: profile[:-1],
        lambda profile: profile[:36] + b"none" + profile[40:],
        lambda profile: profile[:16] + b"CMYK" + profile[20:],
        lambda profile: profile[:128] + b"\xff\xff\xff\xff" + profile[132:],
        lambda profile: profile[:136] + b"\x7f\xff\xff\xff" + profile[140:],
        lambda profile: profile[:100],
        lambda _: b"any text" * 40,
    ],
)
def test_what_does_not_parse_as_a_profile_of_the_picture_is_left_out(
    change: Callable[[bytes], bytes],
) -> None:
    assert clean_profile(clean_srgb(), 3) is not None
    assert clean_profile(change(clean_srgb()), 3) is None
