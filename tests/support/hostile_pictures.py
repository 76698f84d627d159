"""Files that are no honest pictures, made here byte by byte, and the answer that each deserves.

Disguises (another format under a picture's name), headers that lie, files that end too early, and bombs: a
few kilobytes that announce, or really have, far more pixels, scans or boxes than anybody's camera makes.
"""

import base64
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import Image

WRONG: Final = (415, "wrong-image-type")
LARGE: Final = (413, "photo-too-large")
JPEG, PNG, WEBP, HEIC = "image/jpeg", "image/png", "image/webp", "image/heic"
SVG: Final = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML: Final = b"<!doctype html><script>alert(document.cookie)</script>"
PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
MOST_BYTES: Final = 25_000_000
_LAUGHS: Final = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>'
_NOISE: Final = random.Random(60).randbytes(5_000)


@dataclass(frozen=True, slots=True)
class Hostile:
    """What is sent as which type, and the status and problem that answer it."""

    name: str
    declared: str
    body: bytes
    expected: tuple[int, str] = WRONG


def hostile_files(heic: bytes) -> list[Hostile]:
    """Return all of them; `heic` is an honest picture of that type, to be damaged."""
    groups = (_disguises(), _polyglots(), _jpegs(), _pngs(), _webps(), _heics(heic), _mislabelled(heic))
    return [hostile for group in groups for hostile in group]


def drawn(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: object) -> bytes:
    """Return a plain picture of a format, as Pillow writes it."""
    target = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(target, kind, **options)
    return target.getvalue()


def _disguises() -> Iterator[Hostile]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("iris.jpg", bytes(100_000))
    others = {
        "svg": SVG,
        "svg of sixteen-bit text": SVG.decode().encode("utf-16"),
        "html": HTML,
        "entities that multiply": _LAUGHS,
        "gif": drawn("GIF", mode="P"),
        "script behind the start of a gif": b"GIF89a/*" + HTML,
        "tiff": drawn("TIFF"),
        "tiff of the other byte order": b"MM\x00*\x00\x00\x00\x08" + bytes(100),
        "big tiff": b"II+\x00\x08\x00\x00\x00" + bytes(100),
        "bitmap": drawn("BMP"),
        "icon": drawn("ICO"),
        "photoshop": b"8BPS\x00\x01"
        + bytes(6)
        + b"\x00\x03"
        + struct.pack(">II", 300_000, 300_000)
        + bytes(99),
        "pdf": drawn("PDF"),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n(/etc/passwd) (r) file",
        "zip": packed.getvalue(),
        "gzip": b"\x1f\x8b\x08" + bytes(100),
        "seven zip": b"7z\xbc\xaf\x27\x1c" + bytes(100),
        "tar": b"iris.jpg".ljust(257, b"\x00") + b"ustar\x0000" + bytes(247),
        "linux program": b"\x7fELF\x02\x01\x01" + bytes(100),
        "windows program": b"MZ" + bytes(100),
        "jpeg xl": b"\xff\x0a" + _NOISE[:100],
        "jpeg 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100),
        "text of a picture": base64.b64encode(drawn("JPEG")),
        "address with a picture in it": b"data:image/jpeg;base64," + base64.b64encode(drawn("JPEG")),
        "nothing": b"",
        "zeros": bytes(5_000),
    }
    for turn, (name, body) in enumerate(others.items()):
        yield Hostile(name, (JPEG, PNG, WEBP, HEIC)[turn % 4], body)


def _polyglots() -> Iterator[Hostile]:
    starts = {
        JPEG: b"\xff\xd8\xff",
        PNG: PNG_MAGIC,
        WEBP: b"RIFF\xff\xff\x00\x00WEBP",
        HEIC: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    }
    for declared, start in starts.items():
        yield Hostile(f"script behind the start of {declared}", declared, start + SVG)
        yield Hostile(f"noise behind the start of {declared}", declared, start + _NOISE)
    yield Hostile("picture behind a line break", JPEG, b"\n" + drawn("JPEG"))
    yield Hostile("picture behind a zip", JPEG, b"PK\x03\x04" + bytes(26) + drawn("JPEG"))
    yield Hostile("picture behind a byte order mark", PNG, b"\xef\xbb\xbf" + drawn("PNG"))
    yield Hostile("zip and picture in one, the zip first", PNG, b"PK\x05\x06" + bytes(18) + drawn("PNG"))


def jpeg_of_many_scans(repeated: int, side: int = 6_000) -> bytes:
    """Return a JPEG of one colour whose last scan comes again so often; each visits every block."""
    target = io.BytesIO()
    # Of one colour each scan is a few bytes long.
    Image.new("RGB", (side, side), (90, 120, 160)).save(target, "JPEG", progressive=True)
    plain = target.getvalue()
    start = plain.rindex(b"\xff\xda")
    end = plain.index(b"\xff\xd9", start)
    return plain[:start] + plain[start:end] * (repeated + 1) + b"\xff\xd9"


def _jpegs() -> Iterator[Hostile]:
    whole = drawn("JPEG", quality=90)
    frame = whole.index(b"\xff\xc0")
    scan = whole.index(b"\xff\xda")

    def of_size(height: int, width: int) -> bytes:
        return whole[: frame + 5] + struct.pack(">HH", height, width) + whole[frame + 9 :]

    yield Hostile("jpeg of one byte", JPEG, whole[:1])
    yield Hostile("jpeg of its start", JPEG, whole[:3])
    for part in (0.2, 0.5, 0.9):
        yield Hostile(f"jpeg cut at {part}", JPEG, whole[: int(len(whole) * part)])
    yield Hostile("jpeg that announces four thousand million pixels", JPEG, of_size(65_000, 65_000), LARGE)
    yield Hostile("jpeg of no width", JPEG, of_size(48, 0))
    yield Hostile("jpeg without a scan", JPEG, whole[:scan] + b"\xff\xd9")
    yield Hostile("jpeg without a frame", JPEG, whole[:frame] + whole[scan:])
    yield Hostile("jpeg of a coding that nobody has", JPEG, whole.replace(b"\xff\xc0", b"\xff\xc5", 1))
    yield Hostile("jpeg without loss", JPEG, whole.replace(b"\xff\xc0", b"\xff\xc3", 1))
    yield Hostile("jpeg with a damaged scan header", JPEG, whole[: scan + 2] + b"\x00" + whole[scan + 2 :])
    yield Hostile("jpeg of segments without an end", JPEG, whole[:2] + b"\xff\xe1\xff\xff" * 20_000)
    yield Hostile("jpeg of two thousand scans", JPEG, jpeg_of_many_scans(2_000))
    yield Hostile(
        "jpeg of colours that no table has", JPEG, whole[: frame + 9] + b"\x40" + whole[frame + 10 :]
    )


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_of(
    width: int, height: int, rows: bytes, *, depth: int = 8, colours: int = 2, extra: bytes = b""
) -> bytes:
    """Return a PNG with this header and these packed rows, whether or not they fit."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    return PNG_MAGIC + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def packed_zeros(size: int) -> bytes:
    """Return so many zeros as zlib packs them: about a thousandth."""
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    return b"".join([*pieces, packer.compress(bytes(size % 1_000_000)), packer.flush()])


def _pngs() -> Iterator[Hostile]:
    whole, few = drawn("PNG"), zlib.compress(bytes(1_000))
    for part in (0.2, 0.5, 0.7):
        yield Hostile(f"png cut at {part}", PNG, whole[: int(len(whole) * part)])
    yield Hostile("png without pixels", PNG, whole[:33] + _chunk(b"IEND", b""))
    yield Hostile("png of no width", PNG, png_of(0, 5, few))
    yield Hostile("png of three bits", PNG, png_of(9, 9, few, depth=3))
    yield Hostile("png of colours without a palette", PNG, png_of(99, 99, packed_zeros(100 * 99), colours=3))
    yield Hostile("png whose rows end too early", PNG, png_of(900, 900, few))
    yield Hostile("png of rows that are not packed", PNG, png_of(40, 40, _NOISE))
    longer = b"\x7f\xff\xff\xffIDAT" + whole[41:60]
    yield Hostile("png whose chunk is longer than the file", PNG, whole[:33] + longer)
    yield Hostile("png of four hundred million pixels", PNG, png_of(20_000, 20_000, few), LARGE)
    yield Hostile("png of one very long row", PNG, png_of(60_000_000, 1, few), LARGE)
    flood = packed_zeros(8_001 * 6_600)
    yield Hostile("png that has all of 53 million pixels", PNG, png_of(8_000, 6_600, flood, colours=0), LARGE)
    yield Hostile("png of more bytes than are taken", PNG, whole + bytes(MOST_BYTES), LARGE)


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2) for kind, payload in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webps() -> Iterator[Hostile]:
    whole, lossless = drawn("WEBP", quality=90), drawn("WEBP", lossless=True)
    picture, size = whole[20:], (16_383).to_bytes(2, "little")
    for part in (0.2, 0.5, 0.9):
        yield Hostile(f"webp cut at {part}", WEBP, whole[: int(len(whole) * part)])
    yield Hostile("webp without chunks", WEBP, _riff())
    yield Hostile("webp of noise", WEBP, _riff((b"VP8 ", _NOISE[:500])))
    yield Hostile("lossless webp of noise", WEBP, _riff((b"VP8L", b"\x2f\x3f\xc0\x0b\x00" + _NOISE[:500])))
    yield Hostile(
        "webp of a canvas without a picture", WEBP, _riff((b"VP8X", bytes(4) + b"\x3f\x00\x00\x2f\x00\x00"))
    )
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    target = io.BytesIO()
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:])
    yield Hostile("webp that moves", WEBP, target.getvalue())
    wide = picture[:6] + size + size + picture[10:]
    yield Hostile("webp that announces 268 million pixels", WEBP, _riff((b"VP8 ", wide)), LARGE)
    flood = lossless[20:21] + (0x3FFF | 0x3FFF << 14).to_bytes(4, "little") + lossless[25:]
    yield Hostile("lossless webp that announces 268 million pixels", WEBP, _riff((b"VP8L", flood)), LARGE)


def _heics(whole: bytes) -> Iterator[Hostile]:
    for part in (0.2, 0.5, 0.9):
        yield Hostile(f"heic cut at {part}", HEIC, whole[: int(len(whole) * part)])
    at = whole.index(b"ispe") + 8
    size = struct.pack(">II", 60_000, 60_000)
    yield Hostile(
        "heic that announces 3,600 million pixels", HEIC, whole[:at] + size + whole[at + 8 :], LARGE
    )
    yield Hostile("film", HEIC, b"\x00\x00\x00\x20ftypmp42" + bytes(100))
    yield Hostile("avif", HEIC, b"\x00\x00\x00\x20ftypavif" + bytes(100))
    nested = b"".join(struct.pack(">I", 8 * (2_000 - depth)) + b"meta" for depth in range(2_000))
    yield Hostile("heic of boxes in boxes", HEIC, whole[: int.from_bytes(whole[:4])] + nested)
    place = whole.index(b"iloc")
    yield Hostile(
        "heic whose places are elsewhere", HEIC, whole[: place + 8] + b"\xff" * 40 + whole[place + 48 :]
    )


def defused_files() -> dict[str, tuple[str, bytes]]:
    """Return pictures that are honest, and carry bombs and strangers that must not be kept, by name."""
    jpeg, png = drawn("JPEG", quality=90), drawn("PNG")
    many, rows = packed_zeros(200_000_000), zlib.compress(bytes((3 * 64 + 1) * 48))
    loop = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00" + b"\x00\x00\x00\x08" * 50

    def segment(marker: int, payload: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload

    profile = b"".join(
        segment(0xE2, b"ICC_PROFILE\x00" + bytes([part, 255]) + b"canary" * 10_000) for part in range(1, 256)
    )
    chunks = {"text": b"zTXt", "profile": b"iCCP"}
    packed = {
        f"png with a bomb in its {name}": (PNG, png[:33] + _chunk(kind, b"canary\x00\x00" + many) + png[33:])
        for name, kind in chunks.items()
    }
    return packed | {
        "png whose rows go on for two hundred megabytes": (PNG, png_of(64, 48, many)),
        "png with another file behind its rows": (PNG, png_of(64, 48, rows + b"canary" + SVG)),
        "jpeg with a zip behind it": (JPEG, jpeg + b"PK\x03\x04canary" + bytes(1_000)),
        "jpeg with a script in a comment": (JPEG, jpeg[:2] + segment(0xFE, b"canary" + HTML) + jpeg[2:]),
        "jpeg with metadata that lead to themselves": (
            JPEG,
            jpeg[:2] + segment(0xE1, loop + b"canary") + jpeg[2:],
        ),
        "jpeg with a profile of fifteen megabytes": (JPEG, jpeg[:2] + profile + jpeg[2:]),
        "jpeg with entities in its description": (
            JPEG,
            jpeg[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00canary" + _LAUGHS) + jpeg[2:],
        ),
    }


def _mislabelled(heic: bytes) -> Iterator[Hostile]:
    honest = {JPEG: drawn("JPEG"), PNG: drawn("PNG"), WEBP: drawn("WEBP"), HEIC: heic}
    for declared, found in ((JPEG, PNG), (PNG, JPEG), (WEBP, HEIC), (HEIC, WEBP), (JPEG, HEIC)):
        yield Hostile(f"{found} as {declared}", declared, honest[found])
