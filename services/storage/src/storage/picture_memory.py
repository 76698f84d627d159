"""How much memory a picture takes at most while it is examined, known before it is decoded."""

from typing import Final

from storage.stripping.frame import Frame

SANDBOX_OVERHEAD_BYTES: Final = 192 << 20
"""What one sandbox process takes beside the picture: itself, the bytes that it was sent, and its answer."""

_FIXED_BYTES: Final = 32 << 20
# The file itself, its stripped copy, and what is being written of it.
_COPIES_OF_FILE: Final = 4
_WIDE_SAMPLES: Final = 8
_WITH_ALPHA: Final = 4


def bytes_needed(content_type: str, frame: Frame, file_bytes: int) -> int:
    """Return the bytes that decoding, stripping and shrinking add to the process, never fewer than they do.

    Measured with Pillow's, mozjpeg's and libheif's own allocations; a test holds them against this estimate.
    """
    per_pixel = {
        "image/jpeg": _jpeg,
        "image/png": _png,
        "image/webp": _webp,
        "image/heic": _heic,
    }[content_type](frame)
    return _FIXED_BYTES + _COPIES_OF_FILE * file_bytes + per_pixel * frame.pixels


def bytes_needed_to_recode(frame: Frame, file_bytes: int) -> int:
    """Return the same for a JPEG that is decoded whole and encoded anew."""
    # Coefficients of progressive files, Pillow's image of four bytes per pixel, and the copy that is encoded.
    per_pixel = 2 * frame.channels + 8
    return _FIXED_BYTES + _COPIES_OF_FILE * file_bytes + per_pixel * frame.pixels


def _jpeg(frame: Frame) -> int:
    # Every coefficient takes two bytes; pixels are only made of them at the size of the thumbnail.
    return 2 * frame.channels


def _png(frame: Frame) -> int:
    # Pillow keeps one, two or four bytes per pixel, and a second copy where transparency is multiplied in or
    # a palette resolved. A palette has a single channel, like grey.
    return {1: 9, 2: 8, 3: 4, 4: 8}[frame.channels]


def _webp(_: Frame) -> int:
    # libwebp's two canvases, its lossless decoder, the copy that it hands out, and Pillow's image: four each.
    return 20


def _heic(frame: Frame) -> int:
    # The planes of the codec, the interleaved copy that libheif makes of them, Pillow's image, the encoder.
    per_pixel = 10 if frame.depth <= _WIDE_SAMPLES else 17
    return per_pixel if frame.channels < _WITH_ALPHA else per_pixel + 8
