"""What the sandbox does with one picture: prove its type, strip it, measure it and make a thumbnail."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pi_heif
from PIL import Image

from storage.confinement import Limits
from storage.picture_memory import bytes_needed, bytes_needed_to_recode
from storage.stripping.exif import EXIF_MARK, minimal_exif
from storage.stripping.frame import Frame, NotTranscodable, Stripped
from storage.stripping.icc import clean_profile
from storage.stripping.jpeg import read_jpeg_frame, strip_jpeg
from storage.stripping.png import read_png_frame, strip_png
from storage.stripping.webp import read_webp_frame, strip_webp

THUMBNAIL_PIXELS: Final = 512
THUMBNAIL_QUALITY: Final = 85
REENCODED_QUALITY: Final = 95
HEIC: Final = "image/heic"

# A burst or a sequence is accepted for the still picture that it names as its primary one.
_HEIC_TYPES: Final = frozenset([HEIC, "image/heif", "image/heic-sequence", "image/heif-sequence"])
_SIDEWAYS: Final = frozenset([5, 6, 7, 8])
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


@dataclass(frozen=True, slots=True)
class Examined:
    """An accepted picture: its type as it will be kept, its size as it is shown, its bytes, its thumbnail."""

    content_type: str
    size: tuple[int, int]
    original: bytes
    thumbnail: bytes


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    read_frame: Callable[[bytes], Frame]
    strip: Callable[[bytes], Stripped]


_FORMATS: Final = {
    "image/jpeg": _Format("JPEG", read_jpeg_frame, strip_jpeg),
    "image/png": _Format("PNG", read_png_frame, strip_png),
    "image/webp": _Format("WEBP", read_webp_frame, strip_webp),
}


def prepare(limits: Limits) -> None:
    """Load what Pillow and libheif load at first use, because a confined child can't open files any more."""
    pi_heif.register_heif_opener(thumbnails=False)
    pi_heif.options.DECODE_THREADS = 1
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = limits.pixels
    for declared, found in _FORMATS.items():
        sample = io.BytesIO()
        exif = EXIF_MARK + minimal_exif(6)
        Image.new("RGBA" if found.name == "PNG" else "RGB", (2, 2)).save(sample, found.name, exif=exif)
        examine(declared, sample.getvalue(), limits, recode=found.name == "JPEG")
        examine(declared, sample.getvalue(), limits)


def examine(declared: str, body: bytes, limits: Limits, *, recode: bool = False) -> Examined:
    """Return the picture as it will be kept. Raises `Refused`, `MalformedImage`, and what decoders raise.

    `recode` encodes a JPEG anew instead of copying its coefficients.
    """
    proven = sniff(body)
    if proven is None:
        raise Refused("unsupported", "the bytes are not a JPEG, PNG, WebP or HEIC picture")
    if proven != declared:
        raise Refused("unsupported", f"the bytes are {proven}, which is not what was declared")
    if proven == HEIC:
        return _reencoded(body, limits)
    found = _FORMATS[proven]
    frame = found.read_frame(body)
    _admit(frame, bytes_needed(proven, frame, len(body)), limits)
    try:
        stripped = _recoded(body, limits) if recode else found.strip(body)
    except NotTranscodable:
        stripped = _recoded(body, limits)
    # What is decoded is the copy that will be kept: exactly those bytes are proven to be a picture.
    image = Image.open(io.BytesIO(stripped.data), formats=[found.name])
    width, height = image.size
    shown = (height, width) if stripped.orientation in _SIDEWAYS else (width, height)
    return Examined(proven, shown, stripped.data, _thumbnail(image, stripped.orientation))


def sniff(body: bytes) -> str | None:
    """Name the format that the first bytes announce, None for any other than the four."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp" and pi_heif.get_file_mimetype(body[:64]) in _HEIC_TYPES:
        return HEIC
    return None


def _admit(frame: Frame, needed: int, limits: Limits) -> None:
    """Refuse before decoding what has too many pixels or would take too much memory."""
    if frame.pixels > limits.pixels:
        raise Refused("too-large", f"it has more than {limits.pixels // 1_000_000} million pixels")
    if needed > limits.memory:
        raise Refused("too-large", "decoding a picture of this kind and so many pixels takes too much memory")


def _recoded(body: bytes, limits: Limits) -> Stripped:
    """Make a new JPEG of one whose coefficients can't be copied."""
    frame = read_jpeg_frame(body)
    _admit(frame, bytes_needed_to_recode(frame, len(body)), limits)
    return strip_jpeg(body, recode=True)


def _reencoded(body: bytes, limits: Limits) -> Examined:
    """Make a JPEG of a HEIC picture, whose metadata can't be cut out without decoding."""
    source = Image.open(io.BytesIO(body), formats=["HEIF"])
    frame = Frame(*source.size, len(source.getbands()), int(source.info.get("bit_depth", 8)))
    _admit(frame, bytes_needed(HEIC, frame, len(body)), limits)
    source.load()
    # A plain copy, because pi_heif's own image decodes anew, into its first size, when it is saved.
    image = _displayable(source.copy())
    source.close()
    original = _jpeg_bytes(image, quality=REENCODED_QUALITY, subsampling=0)
    return Examined("image/jpeg", image.size, original, _thumbnail(image, 1))


def _thumbnail(image: Image.Image, orientation: int) -> bytes:
    # Shrinking comes before every conversion that is not needed for it: each full-size copy costs four bytes
    # per pixel. A JPEG is shrunk while it is decoded.
    small = _resolved(image) if image.mode in ("1", "P", "PA", "I;16") else image
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    # A copy is no longer bound to a file, whose path Pillow would ask the system for when saving.
    small = _displayable(small.copy())
    if orientation in _TURNS:
        small = small.transpose(_TURNS[orientation])
    return _jpeg_bytes(small, quality=THUMBNAIL_QUALITY, subsampling=2)


def _resolved(image: Image.Image) -> Image.Image:
    if image.mode in ("1", "I;16"):
        return image.convert("L" if image.mode == "1" else "I")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


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
    profile = clean_profile(image.info.get("icc_profile"), len(image.getbands()))
    target = io.BytesIO()
    image.save(
        target, "JPEG", quality=quality, subsampling=subsampling, icc_profile=profile, exif=b"", comment=b""
    )
    return target.getvalue()
