"""Make a JPEG anew whose coefficients can't be copied: decoders read more than encoders can write."""

import io
from typing import Final

from PIL import Image

from storage.stripping.frame import MalformedImage

QUALITY: Final = 95


def recode_jpeg(coded: bytes) -> bytes:
    """Decode a JPEG and encode it as grey or YCbCr, baseline, quality 95 without chroma subsampling.

    Raises `MalformedImage` for what libjpeg can't decode to the end.
    """
    target = io.BytesIO()
    try:
        with Image.open(io.BytesIO(coded), formats=["JPEG"]) as opened:
            opened.load()
            # A copy no longer names a file, whose path Pillow would ask the system for when saving.
            image = opened.convert("RGB") if opened.mode not in ("L", "RGB") else opened.copy()
    except (OSError, SyntaxError, ValueError) as error:
        raise MalformedImage("The JPEG file can't be decoded.") from error
    image.save(target, "JPEG", quality=QUALITY, subsampling=0, icc_profile=None, exif=b"", comment=b"")
    return target.getvalue()
