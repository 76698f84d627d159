"""The one field of EXIF that a picture needs: its orientation."""

import struct
from typing import Final

NOT_TURNED: Final = 1
EXIF_MARK: Final = b"Exif\x00\x00"
_ORIENTATION_TAG: Final = 0x0112
_TIFF_SHORT: Final = 3
_TIFF_BYTE_ORDERS: Final = {b"II": "<", b"MM": ">"}


def read_orientation(tiff: bytes) -> int:
    """Return the orientation 1 to 8 of an EXIF block, 1 when it has none or can't be read."""
    order = _TIFF_BYTE_ORDERS.get(tiff[:2])
    if order is None:
        return NOT_TURNED
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG and kind == _TIFF_SHORT and value in range(1, 9):
                return int(value)
    except struct.error:
        # A damaged EXIF block is dropped like any other; the picture is then shown as it is stored.
        return NOT_TURNED
    return NOT_TURNED


def minimal_exif(orientation: int) -> bytes:
    """Write an EXIF block that holds the orientation and nothing else."""
    entry = struct.pack(">HHIHH", _ORIENTATION_TAG, _TIFF_SHORT, 1, orientation, 0)
    return b"MM\x00*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
