"""The decoding sandbox: a process that forks one short-lived, confined child for each picture.

It runs as a program of its own (`python -I -m storage.imaging_worker`), speaks frames over stdin and stdout,
and holds no keys, no network connections and no environment. A child that crashes, spins or eats memory takes
only its own picture with it; the next picture gets a fresh child.

A frame is a 4-byte length, a JSON head, and then the binary parts whose sizes the head names.
"""

import io
import json
import os
import signal
import struct
import sys
import warnings
from typing import Any, BinaryIO, Final, NoReturn

import pi_heif
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from storage import stripping
from storage.confinement import Limits, confine_child, confine_worker, system_call_filter

THUMBNAIL_PIXELS: Final = 512
THUMBNAIL_QUALITY: Final = 85
REENCODED_QUALITY: Final = 95
_LARGEST_ICC_PROFILE: Final = 65_536
_LARGEST_HEAD: Final = 4_096
_CHUNK: Final = 1 << 20

_FORMATS: Final = {
    "image/jpeg": (JpegImagePlugin.JpegImageFile.format, stripping.strip_jpeg),
    "image/png": (PngImagePlugin.PngImageFile.format, stripping.strip_png),
    "image/webp": (WebPImagePlugin.WebPImageFile.format, stripping.strip_webp),
}
_HEIC_TYPES: Final = frozenset(["image/heic", "image/heif"])
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Refused(Exception):
    """This picture is not accepted; `kind` selects the answer, `reason` says why without its content."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def main() -> None:
    """Serve pictures until stdin closes."""
    limits = Limits(*(int(word) for word in sys.argv[1:5]))
    pi_heif.register_heif_opener(thumbnails=False)
    pi_heif.options.DECODE_THREADS = 1
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = limits.pixels
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _warm(limits)
    calls = system_call_filter()
    confine_worker()
    while (job := read_frame(sys.stdin.buffer)) is not None:
        head, body = job
        answer = _in_child(str(head["declared"]), body, limits, calls)
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


def _warm(limits: Limits) -> None:
    """Make Pillow load whatever it loads at first use, because a confined child can't open files any more."""
    for declared, (name, _) in _FORMATS.items():
        sample = io.BytesIO()
        Image.new("RGBA" if name == "PNG" else "RGB", (2, 2)).save(
            sample, name, exif=b"Exif\x00\x00" + stripping.minimal_exif(6)
        )
        examine(declared, sample.getvalue(), limits)


def write_frame(head: dict[str, Any], *parts: bytes) -> bytes:
    """Return one frame; the head names the size of each part."""
    text = json.dumps(head | {"sizes": [len(part) for part in parts]}).encode()
    return b"".join([struct.pack(">I", len(text)), text, *parts])


def read_frame(source: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame from the parent process, None at the end of the stream."""
    length = source.read(4)
    if len(length) < 4:  # noqa: PLR2004  The length field of the frame.
        return None
    head: dict[str, Any] = json.loads(source.read(int.from_bytes(length)))
    return head, source.read(sum(head["sizes"]))


def _in_child(declared: str, body: bytes, limits: Limits, calls: Any) -> bytes:
    """Examine one picture in a fork and return its answer frame, or a frame that says how it died."""
    answers, answer_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answers)
        _child(declared, body, limits, answer_end, calls)
    os.close(answer_end)
    try:
        answer = _drain(answers, limits.output)
    finally:
        os.close(answers)
        _, status = os.waitpid(child, 0)
    if answer is not None and os.waitstatus_to_exitcode(status) == 0:
        return answer
    return write_frame({"refused": "unsupported", "reason": "the picture can't be decoded within the limits"})


def _drain(source: int, limit: int) -> bytes | None:
    """Read the child's answer to its end, None when it is larger than any honest answer."""
    parts: list[bytes] = []
    size = 0
    while part := os.read(source, _CHUNK):
        parts.append(part)
        size += len(part)
        if size > limit + _LARGEST_HEAD:
            return None
    return b"".join(parts)


def _child(declared: str, body: bytes, limits: Limits, answer_end: int, calls: Any) -> NoReturn:
    code = 1
    try:
        confine_child(limits, answer_end, calls)
        rest = memoryview(_answer(declared, body, limits))
        while rest:
            rest = rest[os.write(answer_end, rest) :]
        code = 0
    finally:
        # Nothing of the parent's interpreter may run in the child: no flushing, no exit handlers.
        os._exit(code)


def _answer(declared: str, body: bytes, limits: Limits) -> bytes:
    try:
        frame = examine(declared, body, limits)
    except Refused as refusal:
        return write_frame({"refused": refusal.kind, "reason": refusal.reason})
    except Image.DecompressionBombError:
        return write_frame({"refused": "too-large", "reason": "it has far too many pixels"})
    except MemoryError:
        return write_frame({"refused": "too-large", "reason": "decoding it takes too much memory"})
    except Exception as error:  # noqa: BLE001  Decoders raise anything on hostile bytes; all of it means "no".
        reason = f"it can't be decoded ({type(error).__name__})"
        return write_frame({"refused": "unsupported", "reason": reason})
    if len(frame) > limits.output:
        return write_frame({"refused": "too-large", "reason": "its decoded form is too large to keep"})
    return frame


def examine(declared: str, body: bytes, limits: Limits) -> bytes:
    """Prove the type by decoding; return a frame of type, dimensions, stripped original and thumbnail."""
    proven = sniff(body)
    if proven is None:
        raise Refused("unsupported", "the bytes are not a JPEG, PNG, WebP or HEIC picture")
    if proven != declared:
        raise Refused("unsupported", f"the bytes are {proven}, which is not what was declared")
    if proven == "image/heic":
        # A plain copy, because pi_heif's own image decodes anew, into its first size, when it is saved.
        image = _decode(body, "HEIF", limits).copy()
        original, orientation = _as_jpeg(image), 1
        proven = "image/jpeg"
    else:
        name, strip = _FORMATS[proven]
        try:
            stripped = strip(body)
        except stripping.MalformedImage as error:
            raise Refused("unsupported", str(error)) from error
        # What is decoded is the copy that will be kept: exactly those bytes are proven to be a picture.
        image = _decode(stripped.data, name, limits)
        original, orientation = stripped.data, stripped.orientation
    width, height = image.size
    head = {"content_type": proven, "width": width, "height": height}
    return write_frame(head, original, _thumbnail(image, orientation))


def sniff(body: bytes) -> str | None:
    """Name the format that the first bytes announce, None for any other than the four."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp" and pi_heif.get_file_mimetype(body[:64]) in _HEIC_TYPES:
        return "image/heic"
    return None


def _decode(body: bytes, name: str, limits: Limits) -> Image.Image:
    image = Image.open(io.BytesIO(body), formats=[name])
    if image.width * image.height > limits.pixels:
        raise Refused("too-large", f"it has more than {limits.pixels // 1_000_000} million pixels")
    image.load()
    return image


def _as_jpeg(image: Image.Image) -> bytes:
    """Re-encode a HEIC picture, whose metadata can't be cut out without decoding, at a stated quality."""
    return _jpeg_bytes(image, quality=REENCODED_QUALITY, subsampling=0)


def _thumbnail(image: Image.Image, orientation: int) -> bytes:
    # Shrinking comes before every other conversion: each full-size copy costs four bytes per pixel.
    small = _displayable(image) if image.mode in ("1", "P", "PA") else image
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    # A copy is no longer bound to a file, whose path Pillow would ask the system for when saving.
    small = _displayable(small.copy())
    if orientation in _TURNS:
        small = small.transpose(_TURNS[orientation])
    return _jpeg_bytes(small, quality=THUMBNAIL_QUALITY, subsampling=2)


def _displayable(image: Image.Image) -> Image.Image:
    """Bring any colour mode to L or RGB; transparent parts become white."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        ground = Image.new("RGBA", over.size, "white")
        ground.alpha_composite(over)
        return ground.convert("RGB")
    converted = image.convert("RGB")
    # A profile describes the colour mode that it came with, not the one after a conversion.
    converted.info.pop("icc_profile", None)
    return converted


def _jpeg_bytes(image: Image.Image, *, quality: int, subsampling: int) -> bytes:
    plain = _displayable(image)
    profile = plain.info.get("icc_profile")
    if profile is not None and len(profile) > _LARGEST_ICC_PROFILE:
        profile = None
    target = io.BytesIO()
    plain.save(
        target, "JPEG", quality=quality, subsampling=subsampling, icc_profile=profile, exif=b"", comment=b""
    )
    return target.getvalue()


if __name__ == "__main__":
    main()
