"""Rebuild a colour profile from the numbers that colours need, without its texts (ICC.1:2022)."""

import struct
from typing import Final

LARGEST_PROFILE: Final = 65_536
"""A profile of more bytes is left out; so is one that does not parse."""

_HEADER_BYTES: Final = 128
_TAG_BYTES: Final = 12
_MOST_TAGS: Final = 64
_SPACES: Final = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_CURVES: Final = frozenset([b"rTRC", b"gTRC", b"bTRC", b"kTRC"])
_VALUES: Final = frozenset([b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt", b"lumi"])
_TABLES: Final = frozenset([b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"gamt"])
_PARAMETERS: Final = (1, 3, 4, 5, 7)
_XYZ_BYTES: Final = 20
_MATRIX_BYTES: Final = 44
_CICP_BYTES: Final = 12


def clean_profile(profile: bytes | None, channels: int) -> bytes | None:
    """Return the profile with nothing in it but colour, None for one that is no profile of such a picture.

    `channels` are those of the picture without alpha: 1, 3 or 4.
    """
    if not profile or len(profile) > LARGEST_PROFILE:
        return None
    try:
        return _rebuilt(profile, channels)
    except (struct.error, ValueError):
        # What does not parse would not be understood by a viewer either.
        return None


def _rebuilt(profile: bytes, channels: int) -> bytes | None:
    size, count = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, _HEADER_BYTES)[0]
    if (
        not _HEADER_BYTES < size <= len(profile)
        or profile[36:40] != b"acsp"
        or profile[16:20] != _SPACES.get(channels)
    ):
        return None
    if count > _MOST_TAGS:
        return None
    tags: dict[bytes, bytes] = {}
    for index in range(count):
        name, offset, length = struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + _TAG_BYTES * index)
        if offset < _HEADER_BYTES or offset + length > size:
            return None
        value = _value(name, profile[offset : offset + length])
        if value is not None:
            tags.setdefault(name, value)
    if not tags.keys() & (_CURVES | _TABLES):
        return None
    version = profile[8]
    return _assembled(_header(profile), {b"desc": _text(version), b"cprt": _text(version), **tags})


def _value(name: bytes, data: bytes) -> bytes | None:
    """Return the exact bytes of a tag that colours need, None for any other tag."""
    kind = data[:4]
    if name in _VALUES and kind == b"XYZ ":
        return _typed(data, _XYZ_BYTES)
    if name in _CURVES and kind in (b"curv", b"para"):
        return _typed(data, _curve_bytes(data))
    if name == b"chad" and kind == b"sf32":
        return _typed(data, _MATRIX_BYTES)
    if name == b"cicp" and kind == b"cicp":
        return _typed(data, _CICP_BYTES)
    if name in _TABLES and kind in (b"mft1", b"mft2"):
        return _typed(data, _table_bytes(data))
    return None


def _typed(data: bytes, length: int) -> bytes:
    if len(data) < length:
        raise ValueError("The tag is shorter than its type.")
    # The four bytes behind the type are reserved.
    return data[:4] + bytes(4) + data[8:length]


def _curve_bytes(data: bytes) -> int:
    if data[:4] == b"curv":
        return 12 + 2 * int(struct.unpack_from(">I", data, 8)[0])
    function = int(struct.unpack_from(">H", data, 8)[0])
    if function >= len(_PARAMETERS):
        raise ValueError("The curve is of no known function.")
    return 12 + 4 * _PARAMETERS[function]


def _table_bytes(data: bytes) -> int:
    inputs, outputs, grid = data[8], data[9], data[10]
    cells = int(grid**inputs) * outputs
    if data[:4] == b"mft1":
        return 48 + 256 * inputs + cells + 256 * outputs
    entries, exits = struct.unpack_from(">HH", data, 48)
    return 52 + 2 * int(entries * inputs + cells + exits * outputs)


def _header(profile: bytes) -> bytes:
    """Keep version, class, spaces, intent and illuminant; drop dates, makers, models and the identifier."""
    header = bytearray(_HEADER_BYTES)
    for start, end in ((8, 24), (36, 40), (64, 80)):
        header[start:end] = profile[start:end]
    header[10:12] = bytes(2)
    return bytes(header)


def _text(version: int) -> bytes:
    """Write the empty text that every profile must have, as its version writes texts."""
    if version >= 4:  # noqa: PLR2004  Major version 4 of the specification.
        return b"mluc" + bytes(4) + struct.pack(">II", 0, 12)
    return b"desc" + bytes(4) + struct.pack(">I", 1) + bytes(79)


def _assembled(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    position = _HEADER_BYTES + 4 + _TAG_BYTES * len(tags)
    table, body, placed = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for name, value in tags.items():
        # Tags of one content share it, as the specification allows: the three curves of a screen are alike.
        if value not in placed:
            body += bytes(-(position + len(body)) % 4)
            placed[value] = position + len(body)
            body += value
        table += name + struct.pack(">II", placed[value], len(value))
    profile = header + table + body + bytes(-len(body) % 4)
    return struct.pack(">I", len(profile)) + profile[4:]
