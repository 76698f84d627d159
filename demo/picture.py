"""A photo as a phone takes it: an iris, and around it everything that a camera writes about its owner."""

import hashlib
import io
import math
import random
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageDraw

WIDTH, HEIGHT = 960, 720
ORIENTATION = 6
CONTENT_TYPE = "image/jpeg"
PLACE = "Brandenburger Tor, Berlin"
LATITUDE = (52.0, 30.0, 58.7)
LONGITUDE = (13.0, 22.0, 39.8)
FIBRES = 900


@dataclass(frozen=True)
class Facts:
    """What anyone can read from a file: its pixels, and what stands around them."""

    width: int
    height: int
    pixels: str
    tags: tuple[str, ...]
    gps: bool
    orientation: int
    size: int


def draw(seed: int = 1) -> bytes:
    """Return a JPEG of 960 by 720 pixels with EXIF, GPS, a comment and bytes behind its end."""
    # The same seed gives the same eye; nothing here is a secret.
    chance = random.Random(seed)  # noqa: S311
    image = Image.new("RGB", (WIDTH, HEIGHT), (236, 228, 222))
    canvas = ImageDraw.Draw(image)
    centre = (WIDTH // 2, HEIGHT // 2)
    hue = chance.randrange(255)
    _disc(canvas, centre, 262, _colour(hue, 40))
    for _ in range(FIBRES):
        _fibre(canvas, centre, hue, chance)
    _disc(canvas, centre, 92, (9, 8, 10))
    _disc(canvas, (centre[0] - 46, centre[1] - 52), 24, (250, 250, 252))
    return _as_jpeg(image)


def read(jpeg: bytes) -> Facts:
    """Decode a JPEG and return what it shows and tells."""
    with Image.open(io.BytesIO(jpeg)) as image:
        exif = image.getexif()
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        names = {ExifTags.TAGS.get(tag, hex(tag)) for tag in exif}
        return Facts(
            width=image.width,
            height=image.height,
            pixels=hashlib.sha256(image.tobytes()).hexdigest(),
            tags=tuple(sorted(names - {"GPSInfo", "ExifOffset"})),
            gps=bool(gps),
            orientation=int(exif.get(ExifTags.Base.Orientation, 1)),
            size=len(jpeg),
        )


def tells_of_its_owner(data: bytes) -> bool:
    """Whether the words that the camera wrote stand anywhere in the bytes."""
    return PLACE.encode() in data


def _disc(canvas: ImageDraw.ImageDraw, centre: tuple[int, int], radius: int, colour: tuple[int, ...]) -> None:
    x, y = centre
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _fibre(canvas: ImageDraw.ImageDraw, centre: tuple[int, int], hue: int, chance: random.Random) -> None:
    angle = chance.uniform(0, math.tau)
    ends = []
    for radius in (chance.uniform(80, 150), chance.uniform(170, 258)):
        turned = angle + chance.gauss(0, 0.03)
        ends.append((centre[0] + radius * math.cos(turned), centre[1] + radius * math.sin(turned)))
    colour = _colour(hue + chance.randint(-18, 18), chance.randint(60, 200))
    canvas.line(ends, fill=colour, width=chance.randint(1, 4))


def _colour(hue: int, brightness: int) -> tuple[int, ...]:
    pixel = Image.new("HSV", (1, 1), (hue % 256, 150, brightness)).convert("RGB").getpixel((0, 0))
    if not isinstance(pixel, tuple):
        raise TypeError("An RGB pixel has three parts.")
    return tuple(int(part) for part in pixel)


def _as_jpeg(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Fieldphone"
    exif[ExifTags.Base.Model] = "F1"
    exif[ExifTags.Base.ImageDescription] = f"Taken at {PLACE}"
    exif[ExifTags.Base.DateTime] = "2026:05:04 10:11:12"
    exif[ExifTags.Base.Orientation] = ORIENTATION
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", LATITUDE
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", LONGITUDE
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif, comment=PLACE.encode())
    return buffer.getvalue() + b"preview:" + PLACE.encode()
