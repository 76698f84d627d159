"""PNG (W3C PNG, third edition): keep the chunks that make pixels and colours, each with its exact content."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from storage.stripping.exif import NOT_TURNED, minimal_exif, read_orientation
from storage.stripping.frame import Frame, MalformedImage, Stripped
from storage.stripping.icc import LARGEST_PROFILE, clean_profile

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES: Final = 13
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_CHANNELS: Final = {_GREY: 1, _COLOUR: 3, _PALETTE: 1, _GREY_ALPHA: 2, _COLOUR_ALPHA: 4}
_LENGTHS: Final = {
    b"cHRM": 32,
    b"gAMA": 4,
    b"sRGB": 1,
    b"cICP": 4,
    b"mDCV": 24,
    b"mDCv": 24,
    b"cLLI": 8,
    b"cLLi": 8,
    b"pHYs": 9,
}
_BACKGROUND_BYTES: Final = {_GREY: 2, _COLOUR: 6, _PALETTE: 1, _GREY_ALPHA: 2, _COLOUR_ALPHA: 6}
_TRANSPARENCY_BYTES: Final = {_GREY: 2, _COLOUR: 6, _PALETTE: 256}
_COLOURS_OF_PALETTE: Final = 256
# First column, first row, and the steps of each pass of Adam7.
_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PORTION: Final = 1 << 20
_KIND_BYTES: Final = 4


def read_png_frame(data: bytes) -> Frame:
    """Return the dimensions, channels and bits that the header announces. Raises `MalformedImage`."""
    _, header = next(_chunks(data))
    return _frame(header)


def strip_png(data: bytes) -> Stripped:
    """Copy the pixels and the colours of a still PNG. Raises `MalformedImage`."""
    chunks = _chunks(data)
    _, header = next(chunks)
    frame, colours = _frame(header), header[9]
    orientation, pixels = NOT_TURNED, []
    kept: dict[bytes, bytes] = {}
    for kind, payload in chunks:
        if kind == b"IDAT":
            pixels.append(payload)
        elif kind == b"eXIf":
            orientation = read_orientation(payload)
        elif (clean := _clean(kind, payload, colours, frame)) is not None:
            kept.setdefault(kind, clean)
    if colours == _PALETTE and b"PLTE" not in kept:
        raise MalformedImage("The PNG file has no palette.")
    if orientation != NOT_TURNED:
        kept[b"eXIf"] = minimal_exif(orientation)
    kept[b"IDAT"] = _rows(b"".join(pixels), _raw_bytes(frame, interlaced=header[12] == 1))
    whole = [
        _chunk(b"IHDR", header),
        *(_chunk(kind, kept[kind]) for kind in _ordered(kept)),
        _chunk(b"IEND", b""),
    ]
    return Stripped(b"".join([_SIGNATURE, *whole]), orientation)


def _clean(kind: bytes, payload: bytes, colours: int, frame: Frame) -> bytes | None:
    """Return what stays of a chunk, None for one that is no part of the picture."""
    if kind == b"PLTE" and colours == _PALETTE:
        usable = min(_COLOURS_OF_PALETTE, 1 << frame.depth) * 3
        return payload[: min(len(payload) // 3 * 3, usable)]
    if kind == b"tRNS":
        return (
            payload[: _TRANSPARENCY_BYTES.get(colours, _COLOURS_OF_PALETTE if colours == _PALETTE else 0)]
            or None
        )
    if kind == b"iCCP":
        return _profile(payload, colours)
    lengths = _LENGTHS | {
        b"bKGD": _BACKGROUND_BYTES[colours],
        b"sBIT": 3 if colours == _PALETTE else frame.channels,
    }
    return payload if lengths.get(kind) == len(payload) else None


def _profile(payload: bytes, colours: int) -> bytes | None:
    name_end = payload.find(b"\x00")
    if name_end < 0:
        return None
    try:
        # Never more than a byte over the limit: a small chunk may announce gigabytes.
        profile = zlib.decompressobj().decompress(payload[name_end + 2 :], LARGEST_PROFILE + 1)
    except zlib.error:
        # Viewers ignore a profile that can't be unpacked.
        return None
    clean = clean_profile(profile, 1 if colours in (_GREY, _GREY_ALPHA) else 3)
    return None if clean is None else b"icc\x00\x00" + zlib.compress(clean, 9)


def _rows(packed: bytes, expected: int) -> bytes:
    """Return a zlib stream of exactly the expected bytes: the given one up to its end, or a new one."""
    unpacker = zlib.decompressobj()
    received, source = 0, packed
    try:
        while received <= expected and (part := unpacker.decompress(source, _PORTION)):
            received, source = received + len(part), unpacker.unconsumed_tail
    except zlib.error as error:
        if received < expected:
            raise MalformedImage("The pixels of the PNG file can't be unpacked.") from error
    if received < expected:
        raise MalformedImage("The PNG file ends early.")
    if unpacker.eof and received == expected:
        return packed[: len(packed) - len(unpacker.unused_data)]
    return _repacked(packed, expected)


def _repacked(packed: bytes, expected: int) -> bytes:
    unpacker, packer = zlib.decompressobj(), zlib.compressobj(6)
    parts: list[bytes] = []
    source, missing = packed, expected
    while missing:
        try:
            part = unpacker.decompress(source, min(_PORTION, missing))
        except zlib.error as error:
            raise MalformedImage("The pixels of the PNG file can't be unpacked.") from error
        source, missing = unpacker.unconsumed_tail, missing - len(part)
        parts.append(packer.compress(part))
    return b"".join([*parts, packer.flush()])


def _raw_bytes(frame: Frame, *, interlaced: bool) -> int:
    """Count the bytes of all rows, each with its filter byte, before they are packed."""

    def rows(width: int, height: int) -> int:
        return height * (1 + -(-width * frame.channels * frame.depth // 8)) if width else 0

    if not interlaced:
        return rows(frame.width, frame.height)
    return sum(
        rows(-(-max(frame.width - column, 0) // across), -(-max(frame.height - row, 0) // down))
        for column, row, across, down in _PASSES
    )


def _ordered(kept: dict[bytes, bytes]) -> list[bytes]:
    """Put the pixels last, the palette before what refers to it, and everything about colours before it."""
    last = {b"PLTE": 1, b"tRNS": 2, b"bKGD": 2, b"IDAT": 3}
    return sorted(kept, key=lambda kind: last.get(kind, 0))


def _frame(header: bytes) -> Frame:
    width, height, depth, colours = struct.unpack_from(">IIBB", header.ljust(_HEADER_BYTES, b"\x00"))
    if len(header) != _HEADER_BYTES or colours not in _CHANNELS or not width or not height:
        raise MalformedImage("The PNG file has a damaged header.")
    return Frame(width, height, _CHANNELS[colours], depth)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, payload), the header first, up to IEND, or to the end of a file that breaks off in pixels.

    What is there of the pixels is handed out whatever their chunk's length and checksum say: decoders take it
    too, and the rows that come of it, which are counted, are the proof.
    """
    if not data.startswith(_SIGNATURE):
        raise MalformedImage("The PNG file has no signature.")
    position, kind, pixels = len(_SIGNATURE), b"", False
    while kind != b"IEND":
        end = position + 12 + int.from_bytes(data[position : position + 4])
        first, kind = not kind, data[position + 4 : position + 8]
        if first != (kind == b"IHDR"):
            if pixels and len(kind) < _KIND_BYTES:
                return
            raise MalformedImage("The PNG file must have one header, at its start.")
        pixels = pixels or kind == b"IDAT"
        if end > len(data):
            if not pixels:
                raise MalformedImage("The PNG file ends early.")
            if kind == b"IDAT":
                yield kind, data[position + 8 :]
            return
        checksum = int.from_bytes(data[end - 4 : end])
        if kind != b"IDAT" and zlib.crc32(data[position + 4 : end - 4]) != checksum:
            raise MalformedImage("A chunk of the PNG file does not match its checksum.")
        yield kind, data[position + 8 : end - 4]
        position = end


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return len(payload).to_bytes(4) + kind + payload + zlib.crc32(kind + payload).to_bytes(4)
