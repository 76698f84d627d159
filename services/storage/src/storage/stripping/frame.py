"""What is known of a picture before it is decoded, and what is left of it after stripping."""

from dataclasses import dataclass


class MalformedImage(ValueError):
    """The bytes don't have the structure of the format that they claim."""


class NotTranscodable(MalformedImage):
    """The coefficients can't be copied; whether they can be decoded is open."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a file announces: width and height in pixels, channels (alpha is one), bits of a channel."""

    width: int
    height: int
    channels: int
    depth: int = 8

    @property
    def pixels(self) -> int:
        """Count the pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Stripped:
    """A file without metadata; `orientation` is the EXIF value 1 to 8 that it still carries (1: none)."""

    data: bytes
    orientation: int
