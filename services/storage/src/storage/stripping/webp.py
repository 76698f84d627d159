"""WebP (RFC 9649): keep picture, transparency and colours, each up to the last byte that is decoded."""

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from PIL import WebPImagePlugin

from storage.stripping.exif import EXIF_MARK, NOT_TURNED, minimal_exif, read_orientation
from storage.stripping.frame import Frame, MalformedImage, Stripped
from storage.stripping.icc import clean_profile
from storage.stripping.vp8 import joined_partitions, partitions

_ANIMATION: Final = frozenset([b"ANIM", b"ANMF"])
_ICC_FLAG, _ALPHA_FLAG, _EXIF_FLAG = 0x20, 0x10, 0x08
_EXTENDED_BYTES: Final = 10
_LOSSLESS_MARK: Final = 0x2F
_LOSSY_MARK: Final = b"\x9d\x01\x2a"
_FIELDS_OF_LOSSLESS: Final = 5
_FIELDS_OF_LOSSY: Final = 10
_COLOURS: Final = 3
_SPARE_BYTES: Final = 16
"""An encoder may leave fewer bytes than this unread behind the picture."""


def read_webp_frame(data: bytes) -> Frame:
    """Return the dimensions and channels that the first picture announces. Raises `MalformedImage`."""
    chunks = _still_chunks(data)
    if b"VP8L" in chunks:
        fields = chunks[b"VP8L"]
        if len(fields) < _FIELDS_OF_LOSSLESS or fields[0] != _LOSSLESS_MARK:
            raise MalformedImage("The WebP file has a damaged header.")
        bits = int.from_bytes(fields[1:5], "little")
        return Frame((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 4 if bits >> 28 & 1 else 3)
    fields = chunks.get(b"VP8 ", b"")
    if len(fields) < _FIELDS_OF_LOSSY or fields[3:6] != _LOSSY_MARK:
        raise MalformedImage("The WebP file has no picture.")
    width, height = struct.unpack_from("<HH", fields, 6)
    return Frame(width & 0x3FFF, height & 0x3FFF, 4 if b"ALPH" in chunks else 3)


def strip_webp(data: bytes) -> Stripped:
    """Copy picture, transparency and profile of a still WebP, and correct the flags that announce the rest.

    Raises `MalformedImage`, also for a picture that can't be decoded.
    """
    chunks = _still_chunks(data)
    pixels = b"VP8L" if b"VP8L" in chunks else b"VP8 "
    if pixels not in chunks:
        raise MalformedImage("The WebP file has no picture.")
    kept = {pixels: chunks[pixels]}
    extended = chunks.get(b"VP8X")
    if extended is None:
        return Stripped(_file(_cut(kept)), NOT_TURNED)
    if len(extended) < _EXTENDED_BYTES:
        raise MalformedImage("The WebP file has a damaged header.")
    orientation = read_orientation(chunks.get(b"EXIF", b"").removeprefix(EXIF_MARK))
    alpha = extended[0] & _ALPHA_FLAG
    if pixels == b"VP8 " and b"ALPH" in chunks:
        kept = {b"ALPH": chunks[b"ALPH"], **kept}
    size = bytes(3) + extended[4:_EXTENDED_BYTES]
    kept = _cut({b"VP8X": bytes([alpha]) + size, **kept})
    profile = clean_profile(chunks.get(b"ICCP"), _COLOURS)
    turned = orientation != NOT_TURNED
    flags = alpha | (_ICC_FLAG if profile else 0) | (_EXIF_FLAG if turned else 0)
    whole = {b"VP8X": bytes([flags]) + size} | ({b"ICCP": profile} if profile else {}) | kept
    whole |= {b"VP8X": bytes([flags]) + size} | ({b"EXIF": minimal_exif(orientation)} if turned else {})
    return Stripped(_file(whole), orientation)


def _cut(chunks: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Cut off what lies behind the end of each coded part, where that is more than a few bytes."""
    if not _decodes(_file(chunks)):
        raise MalformedImage("The WebP file can't be decoded.")
    cut = dict(chunks)
    for kind in cut.keys() & {b"ALPH", b"VP8L"}:
        cut[kind] = _shortest(cut[kind], partial(_with_chunk, cut, kind))
    if b"VP8 " in cut:
        parts = partitions(cut[b"VP8 "])
        for index in range(len(parts)):
            parts[index] = _shortest(parts[index], partial(_with_partition, cut, parts, index))
        cut[b"VP8 "] = joined_partitions(parts)
    return cut


def _with_chunk(chunks: dict[bytes, bytes], kind: bytes, payload: bytes) -> bytes:
    return _file(chunks | {kind: payload})


def _with_partition(chunks: dict[bytes, bytes], parts: list[bytes], index: int, part: bytes) -> bytes:
    return _with_chunk(chunks, b"VP8 ", joined_partitions([*parts[:index], part, *parts[index + 1 :]]))


def _shortest(part: bytes, build: Callable[[bytes], bytes]) -> bytes:
    """Return what the decoder needs of a coded part; all of it when it leaves only a few bytes."""
    step = _SPARE_BYTES
    while len(part) > step and _decodes(build(part[:-step])):
        step *= 2
    if step == _SPARE_BYTES:
        return part
    too_few, enough = max(len(part) - step, 0), len(part) - step // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if _decodes(build(part[:middle])) else (middle, enough)
    return part[:enough]


def _decodes(file: bytes) -> bool:
    try:
        with WebPImagePlugin.WebPImageFile(io.BytesIO(file)) as image:
            image.load()
    except (OSError, SyntaxError):
        # This is the question: libwebp fails as soon as it needs a byte that is not there.
        return False
    return True


def _still_chunks(data: bytes) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    for kind, payload in _chunks(data):
        if kind in _ANIMATION:
            raise MalformedImage("An animated WebP is not a photo.")
        chunks.setdefault(kind, payload)
    return chunks


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
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


def _file(chunks: dict[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
        for kind, payload in chunks.items()
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body
