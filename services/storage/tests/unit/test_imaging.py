"""The sandbox: honest pictures come back stripped and measured, hostile ones are refused within bounds."""

import asyncio
import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps

from storage.imaging import (
    DecodingSandbox,
    ImageTooLarge,
    ImagingError,
    SandboxLimits,
    SandboxUnavailable,
    UnsupportedImage,
)
from support.hostile_pictures import jpeg_of_many_scans

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
async def sandbox() -> AsyncIterator[DecodingSandbox]:
    async with DecodingSandbox(SandboxLimits(processes=1)) as opened:
        yield opened


def open_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
async def test_a_picture_comes_back_stripped_measured_and_with_a_thumbnail(
    sandbox: DecodingSandbox, pictures, kind: str
) -> None:
    original = getattr(pictures, kind)()
    picture = await sandbox.examine(original, f"image/{kind}")
    assert (picture.content_type, picture.width, picture.height) == (f"image/{kind}", 64, 48)
    assert pictures.pixels(picture.original) == pictures.pixels(original)
    assert not any(canary in picture.original + picture.thumbnail for canary in pictures.canaries)
    with open_image(picture.thumbnail) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert not thumbnail.getexif()


async def test_a_heic_picture_becomes_a_jpeg_without_metadata(sandbox: DecodingSandbox, pictures) -> None:
    original = pictures.heic()
    assert b"CanaryCamera" in original
    assert b"canary-xmp" in original
    picture = await sandbox.examine(original, "image/heic")
    assert (picture.content_type, picture.width, picture.height) == ("image/jpeg", 320, 240)
    with open_image(picture.original) as image:
        assert (image.format, image.size) == ("JPEG", (320, 240))
        assert not image.getexif()
    assert not any(canary in picture.original + picture.thumbnail for canary in pictures.canaries)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
async def test_the_size_is_that_of_the_picture_as_it_is_shown(
    sandbox: DecodingSandbox, pictures, kind: str, orientation: int
) -> None:
    picture = await sandbox.examine(getattr(pictures, kind)(orientation=orientation), f"image/{kind}")
    with open_image(picture.original) as kept, open_image(picture.thumbnail) as thumbnail:
        assert ImageOps.exif_transpose(kept).size == (picture.width, picture.height) == thumbnail.size


async def test_a_photo_of_48_megapixels_is_accepted(sandbox: DecodingSandbox, pictures) -> None:
    target = io.BytesIO()
    pictures.gradient(8_064, 6_048).save(target, "JPEG", quality=95, subsampling=0)
    picture = await sandbox.examine(target.getvalue(), "image/jpeg")
    assert (picture.width, picture.height) == (8_064, 6_048)


@pytest.mark.parametrize("name", ["two-pictures", "burst"])
async def test_a_heic_file_of_several_pictures_is_kept_as_its_primary_one(
    sandbox: DecodingSandbox, name: str
) -> None:
    picture = await sandbox.examine((DATA / f"{name}.heic").read_bytes(), "image/heic")
    assert (picture.content_type, picture.width, picture.height) == ("image/jpeg", 1_024, 768)
    with open_image(picture.original) as kept, open_image(picture.thumbnail) as thumbnail:
        assert (kept.size, thumbnail.size) == ((1_024, 768), (512, 384))
        for pixel in (kept.getpixel((9, 9)), thumbnail.getpixel((500, 380))):
            assert all(abs(got - sent) < 4 for got, sent in zip(pixel, (90, 120, 160), strict=True))


def jpeg_of_a_large_coefficient(comment: bytes) -> bytes:
    """Write 8 x 8 grey pixels whose only coefficient has 12 bits: decoders clamp it, no encoder writes it."""

    def segment(marker: int, payload: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload

    one_code = bytes([1, *bytes(15)])
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xFE, comment),
            segment(0xDB, b"\x00" + b"\x01" * 64),
            segment(0xC0, bytes([8, 0, 8, 0, 8, 1, 1, 0x11, 0])),
            segment(0xC4, b"\x00" + one_code + b"\x0c"),
            segment(0xC4, b"\x10" + one_code + b"\x00"),
            segment(0xDA, bytes([1, 1, 0, 0, 63, 0])),
            # One bit names the 12 bits of the coefficient, one ends the block, the rest is filled.
            int("0" + "100000000000" + "0" + "11", 2).to_bytes(2),
            b"\xff\xd9",
        ]
    )


async def test_a_jpeg_whose_coefficients_no_encoder_writes_is_encoded_anew(sandbox: DecodingSandbox) -> None:
    original = jpeg_of_a_large_coefficient(b"canary of a comment")
    picture = await sandbox.examine(original, "image/jpeg")
    assert (picture.content_type, picture.width, picture.height) == ("image/jpeg", 8, 8)
    assert b"canary" not in picture.original
    with open_image(picture.original) as kept, open_image(original) as sent:
        assert abs(kept.getpixel((4, 4)) - sent.getpixel((4, 4))) <= 1


async def test_a_jpeg_of_arithmetic_coding_is_encoded_anew(sandbox: DecodingSandbox) -> None:
    original = (DATA / "arithmetic.jpg").read_bytes()
    picture = await sandbox.examine(original, "image/jpeg")
    with open_image(picture.original) as kept, open_image(original) as sent:
        assert kept.mode == sent.mode == "RGB"
        difference = ImageChops.difference(kept, sent)
        assert max(high for _, high in difference.getextrema()) <= 8
    assert b"canary" in original
    assert b"canary" not in picture.original


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
async def test_a_jpeg_of_arithmetic_coding_that_is_cut_is_refused(
    sandbox: DecodingSandbox, part: float
) -> None:
    original = (DATA / "arithmetic.jpg").read_bytes()
    with pytest.raises(UnsupportedImage):
        await sandbox.examine(original[: int(len(original) * part)], "image/jpeg")


@pytest.mark.parametrize("mode", ["I;16", "P", "1", "LA"])
async def test_a_large_thumbnail_is_made_of_every_colour_mode(sandbox: DecodingSandbox, mode: str) -> None:
    target = io.BytesIO()
    Image.new(mode, (2_200, 1_100)).save(target, "PNG")
    picture = await sandbox.examine(target.getvalue(), "image/png")
    with open_image(picture.thumbnail) as thumbnail:
        assert thumbnail.size == (512, 256)


async def test_a_thumbnail_is_small_and_stands_upright(sandbox: DecodingSandbox, pictures) -> None:
    picture = await sandbox.examine(pictures.jpeg(2000, 1000, orientation=6), "image/jpeg")
    assert (picture.width, picture.height) == (1000, 2000)
    with open_image(picture.thumbnail) as thumbnail:
        assert thumbnail.size == (256, 512)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
async def test_a_thumbnail_is_made_of_every_colour_mode(sandbox: DecodingSandbox, mode: str) -> None:
    target = io.BytesIO()
    Image.new(mode, (700, 300)).save(target, "PNG")
    picture = await sandbox.examine(target.getvalue(), "image/png")
    with open_image(picture.thumbnail) as thumbnail:
        assert thumbnail.size == (512, 219)


async def test_what_is_transparent_is_white_in_the_thumbnail(sandbox: DecodingSandbox) -> None:
    target = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(target, "PNG")
    picture = await sandbox.examine(target.getvalue(), "image/png")
    with open_image(picture.thumbnail) as thumbnail:
        assert thumbnail.getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize("declared", ["image/png", "image/webp", "image/heic", "image/gif", "text/html", ""])
async def test_a_jpeg_declared_as_something_else_is_refused(
    sandbox: DecodingSandbox, pictures, declared: str
) -> None:
    with pytest.raises(UnsupportedImage):
        await sandbox.examine(pictures.plain_jpeg(), declared)


async def test_a_refusal_is_a_sentence(sandbox: DecodingSandbox, pictures) -> None:
    for kind in ("jpeg", "png", "webp"):
        with pytest.raises(UnsupportedImage) as refused:
            await sandbox.examine(getattr(pictures, kind)()[:300], f"image/{kind}")
        assert re.search(r"\w\.$", str(refused.value)), str(refused.value)


def hostile_files(pictures) -> dict[str, tuple[str, bytes]]:
    jpeg, png, webp, heic = pictures.jpeg(), pictures.png(), pictures.webp(), pictures.heic()
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    tiff = io.BytesIO()
    pictures.gradient().save(tiff, "TIFF")
    files = {
        "empty": ("image/jpeg", b""),
        "one byte": ("image/jpeg", b"\xff"),
        "svg": ("image/png", svg),
        "svg behind a jpeg start": ("image/jpeg", b"\xff\xd8\xff" + svg),
        "gif": ("image/png", pictures.gif()),
        "gif as jpeg": ("image/jpeg", pictures.gif()),
        "tiff": ("image/jpeg", tiff.getvalue()),
        "html": ("image/jpeg", b"<html>"),
        "zip": ("image/jpeg", b"PK\x03\x04" + bytes(100)),
        "random": ("image/jpeg", b"\xff\xd8\xff" + os.urandom(5000)),
        "random png": ("image/png", b"\x89PNG\r\n\x1a\n" + os.urandom(5000)),
        "avif brand": ("image/heic", b"\x00\x00\x00\x20ftypavif" + bytes(100)),
        "mp4": ("image/heic", b"\x00\x00\x00\x20ftypmp42" + bytes(100)),
        "png without pixels": ("image/png", png[:33] + pictures.png_chunk(b"IEND", b"")),
        "png of size zero": ("image/png", png_with_header(pictures, 0, 5)),
        "webp without chunks": ("image/webp", b"RIFF\x04\x00\x00\x00WEBP"),
        "webp of random": ("image/webp", webp_of(b"VP8 ", os.urandom(500))),
        "jpeg with damaged scan header": ("image/jpeg", jpeg.replace(b"\xff\xda", b"\xff\xda\x00", 1)),
        "jpeg of a coding that nobody has": ("image/jpeg", jpeg.replace(b"\xff\xc0", b"\xff\xc5", 1)),
    }
    for name, whole in {
        "jpeg": jpeg[: jpeg.index(b"PK\x03\x04")],
        "png": png,
        "webp": webp,
        "heic": heic,
    }.items():
        for part in (0.2, 0.5, 0.9):
            files[f"{name} cut at {part}"] = (f"image/{name}", whole[: int(len(whole) * part)])
    return files


def png_with_header(pictures, width: int, height: int, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(pictures.png_chunk(*chunk) for chunk in chunks)


def webp_of(kind: bytes, payload: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


async def test_every_hostile_file_is_refused_and_the_next_picture_is_served(
    sandbox: DecodingSandbox, pictures
) -> None:
    accepted = []
    for name, (declared, data) in hostile_files(pictures).items():
        with contextlib.suppress(UnsupportedImage):
            await sandbox.examine(data, declared)
            accepted.append(name)
    assert accepted == []
    assert (await sandbox.examine(pictures.jpeg(), "image/jpeg")).width == 64


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (52_001, 1_000), (8_000, 6_501)])
async def test_a_pixel_bomb_is_refused_before_it_is_decoded(
    sandbox: DecodingSandbox, pictures, width: int, height: int
) -> None:
    started = time.monotonic()
    with pytest.raises(ImageTooLarge):
        await sandbox.examine(png_with_header(pictures, width, height), "image/png")
    assert time.monotonic() - started < 3


async def test_a_jpeg_that_announces_too_many_pixels_is_refused(sandbox: DecodingSandbox, pictures) -> None:
    data = bytearray(pictures.plain_jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)
    with pytest.raises(ImageTooLarge):
        await sandbox.examine(bytes(data), "image/jpeg")


async def test_a_picture_that_needs_too_much_memory_is_refused_and_the_next_one_is_served(pictures) -> None:
    limits = SandboxLimits(processes=1, memory_bytes=160 * 1024 * 1024)
    async with DecodingSandbox(limits) as small:
        with pytest.raises(ImageTooLarge):
            await small.examine(png_with_header(pictures, 6_000, 6_000, bytes(1_000_000)), "image/png")
        assert (await small.examine(pictures.jpeg(), "image/jpeg")).width == 64


async def test_a_picture_that_takes_too_much_processor_time_is_refused(pictures) -> None:
    limits = SandboxLimits(processes=1, cpu_seconds=1)
    # As many scans as are taken, each of which visits every block of the picture.
    many_scans = jpeg_of_many_scans(89)
    async with DecodingSandbox(limits) as slow:
        started = time.monotonic()
        with pytest.raises(UnsupportedImage):
            await slow.examine(many_scans, "image/jpeg")
        assert time.monotonic() - started < 10
        assert (await slow.examine(pictures.jpeg(), "image/jpeg")).width == 64


async def test_a_sandbox_that_does_not_answer_in_time_is_replaced(pictures) -> None:
    async with DecodingSandbox(SandboxLimits(processes=1, wall_seconds=0.001)) as impatient:
        with pytest.raises(SandboxUnavailable):
            await impatient.examine(pictures.jpeg(), "image/jpeg")
        impatient._limits = SandboxLimits(processes=1)
        assert (await impatient.examine(pictures.jpeg(), "image/jpeg")).width == 64


async def test_a_killed_sandbox_process_is_replaced(sandbox: DecodingSandbox, pictures) -> None:
    await sandbox.examine(pictures.jpeg(), "image/jpeg")
    process = sandbox._idle[0]
    process.kill()
    await process.wait()
    assert (await sandbox.examine(pictures.jpeg(), "image/jpeg")).width == 64


async def test_more_pictures_than_processes_wait_for_their_turn(pictures) -> None:
    async with DecodingSandbox(SandboxLimits(processes=2)) as pool:
        answers = await asyncio.gather(*(pool.examine(pictures.jpeg(), "image/jpeg") for _ in range(12)))
        assert len(answers) == 12
        assert len(pool._idle) == 2


async def test_an_abandoned_examination_leaves_no_process(sandbox: DecodingSandbox, pictures) -> None:
    started = await started_process(sandbox, pictures)
    task = asyncio.create_task(sandbox.examine(pictures.jpeg(3_000, 3_000), "image/jpeg"))
    while sandbox._idle:
        await asyncio.wait([task], timeout=0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sandbox._idle == []
    assert started.returncode is not None


async def test_no_process_is_left_when_the_sandbox_closes(pictures) -> None:
    async with DecodingSandbox() as pool:
        started = await started_process(pool, pictures)
        assert started.returncode is None
    assert started.returncode is not None


async def started_process(sandbox: DecodingSandbox, pictures) -> asyncio.subprocess.Process:
    await sandbox.examine(pictures.jpeg(), "image/jpeg")
    return sandbox._idle[0]


def test_a_heic_picture_is_decoded_without_the_rights_of_root(pictures) -> None:
    script = """
import os, sys
from storage.confinement import Limits, confine_worker, system_call_filter
from storage.examination import prepare
from storage.imaging_worker import _in_child
body, limits = sys.stdin.buffer.read(), Limits(512 << 20, 5, 40_000_000, 32 << 20)
prepare(limits)
calls = system_call_filter()
confine_worker()
assert os.getuid() != 0
answer = _in_child("image/heic", body, limits, calls)
assert b'"width": 320' in answer, answer[:200]
"""
    run = subprocess.run(
        [sys.executable, "-I", "-c", script],
        input=pictures.heic(),
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert run.returncode == 0, run.stderr


def test_memory_that_libheif_does_not_get_makes_a_picture_too_large() -> None:
    script = """
import sys
from storage import examination
from storage.confinement import Limits, system_call_filter
from storage.imaging_worker import _in_child
limits = Limits(96 << 20, 5, 40_000_000, 32 << 20)
examination.prepare(limits)
examination.bytes_needed = lambda *_: 0
answer = _in_child("image/heic", sys.stdin.buffer.read(), limits, system_call_filter())
assert b'"refused": "too-large"' in answer, answer[:200]
"""
    run = subprocess.run(
        [sys.executable, "-I", "-c", script],
        input=(DATA / "ten-bits-444.heic").read_bytes(),
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert run.returncode == 0, run.stderr


async def test_errors_are_of_one_family() -> None:
    for error in (UnsupportedImage, ImageTooLarge, SandboxUnavailable):
        assert issubclass(error, ImagingError)
