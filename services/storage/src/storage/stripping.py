"""Remove everything but the picture from JPEG, PNG and WebP files without touching a pixel.

What stays: pixels, colour information, and the orientation when the picture needs turning. Every other piece
of metadata (EXIF, GPS, XMP, comments, embedded previews, bytes behind the end) is left out of the copy.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_NOT_TURNED: Final = 1
_ORIENTATION_TAG: Final = 0x0112
_TIFF_SHORT: Final = 3
_TIFF_BYTE_ORDERS: Final = {b"II": "<", b"MM": ">"}
_EXIF: Final = b"Exif\x00\x00"

_SOI: Final = b"\xff\xd8"
_MARKER_START: Final = 0xFF
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_LAST_TABLE_MARKER: Final = 0xDF
_FIRST_TABLE_MARKER: Final = 0xC0
# Inside coded data FF00 is a plain byte and FFD0 to FFD7 restart the decoder; every other pair is a marker.
_MARKER_IN_SCAN: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_JFIF_HEADER_BYTES: Final = 12
_ADOBE_BYTES: Final = 12

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI mDCv cLLi bKGD pHYs".split()
)

_WEBP_KEPT: Final = frozenset([b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"])
_WEBP_ANIMATION: Final = frozenset([b"ANIM", b"ANMF"])
_WEBP_EXIF_FLAG: Final = 0x08
_WEBP_XMP_FLAG: Final = 0x04


class MalformedImage(ValueError):
    """The bytes don't have the structure of the format that they claim."""


@dataclass(frozen=True, slots=True)
class Stripped:
    """A file without metadata; `orientation` is the EXIF value 1 to 8 that it still carries (1: none)."""

    data: bytes
    orientation: int


def strip_jpeg(data: bytes) -> Stripped:
    """Copy a JPEG up to its end marker, keeping tables, scans, JFIF, ICC and Adobe segments only."""
    orientation = _NOT_TURNED
    jfif = b""
    kept: list[bytes] = []
    for marker, segment in _jpeg_segments(data):
        payload = segment[4:]
        if marker == _APP0 and payload.startswith(b"JFIF\x00") and not jfif:
            jfif = _jpeg_segment(_APP0, payload[:_JFIF_HEADER_BYTES] + b"\x00\x00")
        elif marker == _APP1 and payload.startswith(_EXIF):
            orientation = read_orientation(payload[len(_EXIF) :])
        elif marker == _APP14 and payload.startswith(b"Adobe"):
            kept.append(_jpeg_segment(_APP14, payload[:_ADOBE_BYTES]))
        elif (marker == _APP2 and payload.startswith(b"ICC_PROFILE\x00")) or (
            _FIRST_TABLE_MARKER <= marker <= _LAST_TABLE_MARKER
        ):
            kept.append(segment)
    turn = b"" if orientation == _NOT_TURNED else _jpeg_segment(_APP1, _EXIF + minimal_exif(orientation))
    return Stripped(b"".join([_SOI, jfif, turn, *kept]), orientation)


def strip_png(data: bytes) -> Stripped:
    """Copy the chunks that make pixels and colours, up to IEND."""
    orientation = _NOT_TURNED
    kept: list[bytes] = []
    for kind, chunk in _png_chunks(data):
        if kind == b"eXIf":
            orientation = read_orientation(chunk[8:-4])
        elif kind in _PNG_KEPT:
            kept.append(chunk)
    if orientation != _NOT_TURNED:
        kept.insert(1, _png_chunk(b"eXIf", minimal_exif(orientation)))
    return Stripped(b"".join([_PNG_SIGNATURE, *kept]), orientation)


def strip_webp(data: bytes) -> Stripped:
    """Copy the picture, alpha and ICC chunks of a still WebP and correct the flags that announce the rest."""
    orientation = _NOT_TURNED
    kept: list[tuple[bytes, bytes]] = []
    for kind, payload in _webp_chunks(data):
        if kind in _WEBP_ANIMATION:
            raise MalformedImage("An animated WebP is not a photo.")
        if kind == b"EXIF":
            orientation = read_orientation(payload.removeprefix(_EXIF))
        elif kind in _WEBP_KEPT:
            kept.append((kind, payload))
    if not kept:
        raise MalformedImage("The WebP file has no picture.")
    if kept[0][0] == b"VP8X":
        if orientation != _NOT_TURNED:
            kept.append((b"EXIF", minimal_exif(orientation)))
        kept[0] = (b"VP8X", _webp_flags(kept[0][1], exif=orientation != _NOT_TURNED))
    else:
        orientation = _NOT_TURNED
    body = b"WEBP" + b"".join(_webp_chunk(kind, payload) for kind, payload in kept)
    return Stripped(b"RIFF" + struct.pack("<I", len(body)) + body, orientation)


def read_orientation(tiff: bytes) -> int:
    """Return the orientation 1 to 8 of an EXIF block, 1 when it has none or can't be read."""
    order = _TIFF_BYTE_ORDERS.get(tiff[:2])
    if order is None:
        return _NOT_TURNED
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG and kind == _TIFF_SHORT and value in range(1, 9):
                return int(value)
    except struct.error:
        # A damaged EXIF block is dropped like any other; the picture is then shown as it is stored.
        return _NOT_TURNED
    return _NOT_TURNED


def minimal_exif(orientation: int) -> bytes:
    """Write an EXIF block that holds the orientation and nothing else."""
    entry = struct.pack(">HHIHH", _ORIENTATION_TAG, _TIFF_SHORT, 1, orientation, 0)
    return b"MM\x00*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, whole segment) up to and including the end marker; a scan carries its coded data."""
    if not data.startswith(_SOI):
        raise MalformedImage("The JPEG file has no start.")
    position, scans = 2, 0
    while True:
        marker, position = _jpeg_marker(data, position)
        if marker == _EOI:
            break
        if position + 4 > len(data):
            raise MalformedImage("The JPEG file ends early.")
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if end < position + 4:
            raise MalformedImage("The JPEG file has a segment of impossible length.")
        if marker == _SOS:
            scans += 1
            found = _MARKER_IN_SCAN.search(data, end)
            end = found.start() if found else len(data)
        if end >= len(data):
            raise MalformedImage("The JPEG file ends early.")
        yield marker, data[position:end]
        position = end
    if not scans:
        raise MalformedImage("The JPEG file has no picture.")
    yield _EOI, data[position : position + 2]


def _jpeg_marker(data: bytes, position: int) -> tuple[int, int]:
    """Return the marker at this position and where its last FF stands (any number of FF may fill)."""
    while data[position : position + 2] == b"\xff\xff":
        position += 1
    if position + 2 > len(data):
        raise MalformedImage("The JPEG file ends early.")
    if data[position] != _MARKER_START or not _FIRST_TABLE_MARKER <= data[position + 1] < _MARKER_START:
        raise MalformedImage("The JPEG file has something other than a segment between its segments.")
    if data[position + 1] in range(0xD0, 0xD9):
        raise MalformedImage("The JPEG file has a marker in an impossible place.")
    return data[position + 1], position


def _jpeg_segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not data.startswith(_PNG_SIGNATURE):
        raise MalformedImage("The PNG file has no signature.")
    position, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        end = position + 12 + int.from_bytes(data[position : position + 4])
        if position + 12 > len(data) or end > len(data):
            raise MalformedImage("The PNG file ends early.")
        chunk = data[position:end]
        first = not kind
        kind = chunk[4:8]
        if first != (kind == b"IHDR"):
            raise MalformedImage("The PNG file must have one header, at its start.")
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise MalformedImage("A chunk of the PNG file does not match its checksum.")
        yield kind, chunk
        position = end


def _png_chunk(kind: bytes, payload: bytes) -> bytes:
    return len(payload).to_bytes(4) + kind + payload + zlib.crc32(kind + payload).to_bytes(4)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise MalformedImage("The WebP file has no signature.")
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data):
        raise MalformedImage("The WebP file ends early.")
    position = 12
    while position + 8 <= stop:
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + size > stop:
            raise MalformedImage("The WebP file has a chunk of impossible length.")
        yield data[position : position + 4], data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def _webp_chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)


def _webp_flags(header: bytes, *, exif: bool) -> bytes:
    if not header:
        raise MalformedImage("The WebP file has an empty header.")
    flags = header[0] & ~(_WEBP_EXIF_FLAG | _WEBP_XMP_FLAG) | (_WEBP_EXIF_FLAG if exif else 0)
    return bytes([flags]) + header[1:]
