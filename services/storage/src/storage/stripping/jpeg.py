"""JPEG (ITU-T T.81): transcode the coefficients without loss, so that only what libjpeg decodes is left."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import mozjpeg_lossless_optimization

from storage.stripping.exif import EXIF_MARK, NOT_TURNED, minimal_exif, read_orientation
from storage.stripping.frame import Frame, MalformedImage, NotTranscodable, Stripped
from storage.stripping.icc import clean_profile
from storage.stripping.recoding import recode_jpeg

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOI_MARKER, _EOI_MARKER, _SOS, _DNL = 0xD8, 0xD9, 0xDA, 0xDC
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES: Final = frozenset([*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)])
_SEQUENTIAL: Final = frozenset([0xC0, 0xC1, 0xC9])
# What makes the picture; the end is written once, behind all of it.
_TABLES: Final = frozenset(range(0xC0, 0xE0)) - {_EOI_MARKER, _DNL}
_FIRST_SEGMENT, _LAST_SEGMENT = 0xC0, 0xFE
# TEM and RST0 to RST7 have no length; between segments they mean nothing.
_ALONE: Final = frozenset([0x01, *range(0xD0, 0xD8)])
# Decoders skip whatever stands between two segments up to the next FF with a marker behind it.
_MARKER: Final = re.compile(rb"\xff[\x01-\xfe]")
# Inside coded data FF00 is a plain byte and FFD0 to FFD7 restart the decoder; every other pair is a marker.
_MARKER_IN_SCAN: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_ICC_MARK: Final = b"ICC_PROFILE\x00"
_LARGEST_ICC_PART: Final = 65_519
_FRAME_BYTES: Final = 10
_OF_COLOUR: Final = 3
_JFIF_BYTES: Final = 12
_ADOBE_BYTES: Final = 12
_MOST_SCANS: Final = 100
"""Encoders write twenty at most; each costs a walk over every block, however few bytes it has."""
_SPARE_BITS: Final = (bytes(64), b"\xff\x00" * 32, b"\x5a" * 64)


@dataclass
class _Contents:
    """What a walk over a file's segments found; `coded` is the picture without any application's segments."""

    jfif: bytes = b""
    adobe: bytes = b""
    orientation: int = NOT_TURNED
    frame: Frame | None = None
    sequential: bool = False
    ended: bool = False
    scans: int = 0
    profile: dict[bytes, bytes] = field(default_factory=dict)
    coded: list[bytes] = field(default_factory=list)


def read_jpeg_frame(data: bytes) -> Frame:
    """Return the dimensions and channels that the frame header announces. Raises `MalformedImage`."""
    for marker, segment in _segments(data):
        if marker in _FRAMES:
            return _frame(segment)
    raise MalformedImage("The JPEG file has no picture.")


def strip_jpeg(data: bytes, *, recode: bool = False) -> Stripped:
    """Return the same coefficients in a progressive file, with JFIF, Adobe and a clean ICC profile only.

    Raises `NotTranscodable` for coefficients that can't be copied, such as those of arithmetic coding;
    `recode` decodes them and encodes them anew. Raises `MalformedImage` for what libjpeg can't decode to the
    end.
    """
    # A marker that begins at the very end begins nothing.
    found = _contents(data.rstrip(b"\xff"))
    if found.frame is None or not found.scans:
        raise MalformedImage("The JPEG file has no picture.")
    plain = b"".join([_SOI, found.jfif, found.adobe, *found.coded])
    transcoded = recode_jpeg(plain + _EOI) if recode else _transcoded(plain + _EOI)
    if not (found.ended or (found.sequential and not recode and _is_complete(plain, transcoded))):
        raise MalformedImage("The JPEG file ends early.")
    # Recoded colours are no longer those that Adobe's segment, or a profile of four inks, describes.
    adobe = b"" if recode else found.adobe
    channels = min(found.frame.channels, _OF_COLOUR) if recode else found.frame.channels
    tables = [segment for marker, segment in _segments(transcoded) if marker in _TABLES]
    profile = b"".join(found.profile[number] for number in sorted(found.profile))
    turned = found.orientation != NOT_TURNED
    turn = _segment(_APP1, EXIF_MARK + minimal_exif(found.orientation)) if turned else b""
    kept = [_SOI, found.jfif, turn, *_profile_segments(clean_profile(profile, channels))]
    return Stripped(b"".join([*kept, adobe, *tables, _EOI]), found.orientation)


def _contents(data: bytes) -> _Contents:
    found = _Contents()
    for marker, segment in _segments(data):
        if marker in _TABLES:
            found.coded.append(segment)
        if marker in _FRAMES:
            found.frame, found.sequential = _frame(segment), marker in _SEQUENTIAL
        elif marker == _SOS and found.frame is not None:
            found.scans += 1
            if found.scans > _MOST_SCANS:
                raise MalformedImage("The JPEG file has more scans than a picture needs.")
            # A sequential scan of every component is the whole picture; what follows is something else.
            if found.sequential and segment[4] == found.frame.channels:
                found.ended = not data.endswith(segment)
                break
        elif marker == _EOI_MARKER:
            found.ended = True
        else:
            _note_application(found, marker, segment[4:])
    return found


def _note_application(found: _Contents, marker: int, payload: bytes) -> None:
    if marker == _APP0 and payload.startswith(b"JFIF\x00") and not found.jfif:
        found.jfif = _segment(_APP0, payload[:_JFIF_BYTES].ljust(_JFIF_BYTES, b"\x00") + b"\x00\x00")
    elif marker == _APP1 and payload.startswith(EXIF_MARK):
        found.orientation = read_orientation(payload[len(EXIF_MARK) :])
    elif marker == _APP2 and payload.startswith(_ICC_MARK):
        found.profile.setdefault(payload[len(_ICC_MARK) : len(_ICC_MARK) + 1], payload[len(_ICC_MARK) + 2 :])
    elif marker == _APP14 and payload.startswith(b"Adobe") and len(payload) >= _ADOBE_BYTES:
        found.adobe = _segment(_APP14, payload[:_ADOBE_BYTES])


def _is_complete(plain: bytes, transcoded: bytes) -> bool:
    """Tell whether a file without an end marker is whole: the decoder then has no use for bits behind it."""
    return all(_transcoded(plain + spare + _EOI) == transcoded for spare in _SPARE_BITS)


def _transcoded(coded: bytes) -> bytes:
    """Return the same coefficients without anything else; libjpeg fills up with grey what is missing."""
    try:
        return bytes(
            mozjpeg_lossless_optimization.optimize(coded, mozjpeg_lossless_optimization.COPY_MARKERS.NONE)
        )
    except ValueError as error:
        raise NotTranscodable("The JPEG file can't be decoded.") from error


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, whole segment) up to the end marker or the end; a scan carries its coded data."""
    if not data.startswith(_SOI):
        raise MalformedImage("The JPEG file has no start.")
    position = len(_SOI)
    while (found := _MARKER.search(data, position)) is not None:
        marker, position = data[found.start() + 1], found.start()
        if marker in _ALONE:
            position += 2
            continue
        if marker == _EOI_MARKER:
            yield marker, _EOI
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if marker == _SOI_MARKER or not _FIRST_SEGMENT <= marker <= _LAST_SEGMENT or end < position + 4:
            raise MalformedImage("The JPEG file has a marker in an impossible place.")
        if end > len(data):
            raise MalformedImage("The JPEG file ends early.")
        if marker == _SOS:
            scan_end = _MARKER_IN_SCAN.search(data, end)
            end = scan_end.start() if scan_end else len(data)
        yield marker, data[position:end]
        position = end


def _frame(segment: bytes) -> Frame:
    if len(segment) < _FRAME_BYTES:
        raise MalformedImage("The JPEG file has a damaged frame header.")
    depth, height, width, channels = struct.unpack_from(">BHHB", segment, 4)
    return Frame(width, height, channels, depth)


def _profile_segments(profile: bytes | None) -> list[bytes]:
    parts = (
        [profile[at : at + _LARGEST_ICC_PART] for at in range(0, len(profile), _LARGEST_ICC_PART)]
        if profile
        else []
    )
    return [
        _segment(_APP2, _ICC_MARK + bytes([number, len(parts)]) + part)
        for number, part in enumerate(parts, 1)
    ]


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload
