"""Remove everything but the picture from JPEG, PNG and WebP files without changing a pixel.

What stays: pixels, the colour profile's numbers, and the orientation when the picture needs turning. Every
other piece of metadata (EXIF, GPS, XMP, comments, embedded previews) and every byte that the decoder does not
use is left out of the copy.
"""

from storage.stripping.exif import EXIF_MARK, minimal_exif, read_orientation
from storage.stripping.frame import Frame, MalformedImage, NotTranscodable, Stripped
from storage.stripping.icc import clean_profile
from storage.stripping.jpeg import read_jpeg_frame, strip_jpeg
from storage.stripping.png import read_png_frame, strip_png
from storage.stripping.webp import read_webp_frame, strip_webp

__all__ = [
    "EXIF_MARK",
    "Frame",
    "MalformedImage",
    "NotTranscodable",
    "Stripped",
    "clean_profile",
    "minimal_exif",
    "read_jpeg_frame",
    "read_orientation",
    "read_png_frame",
    "read_webp_frame",
    "strip_jpeg",
    "strip_png",
    "strip_webp",
]
