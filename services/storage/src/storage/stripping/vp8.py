"""The partitions of a VP8 key frame (RFC 6386): the first holds modes, the others the coefficients."""

from typing import Final

from storage.stripping.frame import MalformedImage

_FIRST_PARTITION: Final = 10
_SIZE_BYTES: Final = 3
_EVEN: Final = 128


def partitions(frame: bytes) -> list[bytes]:
    """Return the head with the first partition, then each other partition. Raises `MalformedImage`."""
    tag = int.from_bytes(frame[:3], "little")
    end = _FIRST_PARTITION + (tag >> 5)
    first = frame[:end]
    count = _partition_count(first[_FIRST_PARTITION:])
    sizes_end = end + _SIZE_BYTES * (count - 1)
    if sizes_end > len(frame):
        raise MalformedImage("The WebP file has a damaged picture.")
    parts, position = [first], sizes_end
    for at in range(end, sizes_end, _SIZE_BYTES):
        size = int.from_bytes(frame[at : at + _SIZE_BYTES], "little")
        parts.append(frame[position : position + size])
        position += size
    return [*parts, frame[position:]]


def joined_partitions(parts: list[bytes]) -> bytes:
    """Write the frame of these parts, with the sizes that they have now."""
    first = parts[0]
    tag = int.from_bytes(first[:3], "little") & 0x1F | max(len(first) - _FIRST_PARTITION, 0) << 5
    sizes = b"".join(len(part).to_bytes(_SIZE_BYTES, "little") for part in parts[1:-1])
    return tag.to_bytes(3, "little") + first[3:] + sizes + b"".join(parts[1:])


class _BoolDecoder:
    """Reads numbers of even odds (RFC 6386 §7.3)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._value = int.from_bytes(data[:2].ljust(2, b"\x00"))
        self._position, self._range, self._shifts = 2, 255, 0

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self._bit()
        return value

    def skip_optional(self, bits: int) -> None:
        if self.number(1):
            self.number(bits)

    def _bit(self) -> int:
        split = 1 + ((self._range - 1) * _EVEN >> 8)
        bit = int(self._value >= split << 8)
        self._range = self._range - split if bit else split
        self._value -= (split << 8) * bit
        while self._range < _EVEN:
            self._value, self._range, self._shifts = self._value << 1, self._range << 1, self._shifts + 1
            if self._shifts == 8:  # noqa: PLR2004  A byte is used up.
                self._shifts = 0
                self._value |= self._data[self._position] if self._position < len(self._data) else 0
                self._position += 1
        return bit


def _partition_count(header: bytes) -> int:
    """Read the frame header up to the number of partitions (RFC 6386 §9.2 to §9.5)."""
    bits = _BoolDecoder(header)
    bits.number(2)
    if bits.number(1):
        _skip_segments(bits)
    bits.number(10)
    if bits.number(1) and bits.number(1):
        for _ in range(8):
            bits.skip_optional(7)
    return 1 << bits.number(2)


def _skip_segments(bits: _BoolDecoder) -> None:
    new_map, new_data = bits.number(1), bits.number(1)
    if new_data:
        bits.number(1)
        for size in (8, 7):
            for _ in range(4):
                bits.skip_optional(size)
    if new_map:
        for _ in range(3):
            bits.skip_optional(8)
