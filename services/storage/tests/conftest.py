"""Pictures that carry metadata, and storage on real servers."""

import io
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from chassis.erasure import ErasureParticipation
from storage.main import STORAGE
from storage.settings import StorageSettings
from storage.wiring import Service, open_service
from support import FrozenClock
from support.platform import Platform

CANARIES = (b"CanaryCamera", b"canary-xmp", b"canary-comment", b"canary-behind-the-end")
XMP = b"http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>canary-xmp</x:xmpmeta>"
BEHIND = b"PK\x03\x04canary-behind-the-end"
DATA = Path(__file__).parent / "data"


class Pictures:
    """Builds files; every metadata that it writes contains a canary."""

    canaries = CANARIES

    def gradient(self, width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
        flat = Image.linear_gradient("L").resize((width, height))
        return Image.merge("RGB", (flat, flat.rotate(90), flat.rotate(180))).convert(mode)

    def exif(self, orientation: int = 1) -> bytes:
        exif = Image.Exif()
        exif[0x010F] = "CanaryCamera"
        exif[0x0112] = orientation
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2], gps[3], gps[4] = "N", (52.0, 31.0, 12.0), "E", (13.0, 24.0, 18.0)
        return exif.tobytes()

    def jpeg(self, width: int = 64, height: int = 48, *, orientation: int = 1, **options: object) -> bytes:
        """A JPEG with EXIF, GPS, XMP, IPTC, a comment, an ICC profile, and a ZIP behind its end."""
        target = io.BytesIO()
        self.gradient(width, height).save(
            target,
            "JPEG",
            exif=self.exif(orientation),
            comment=b"canary-comment",
            icc_profile=self.profile(),
            **options,
        )
        data = target.getvalue()
        extra = b"".join(
            bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload
            for marker, payload in ((0xE1, XMP), (0xED, b"Photoshop 3.0\x00canary-comment"))
        )
        return data[:2] + extra + data[2:] + BEHIND

    def profile(self, text: str = "canary-comment") -> bytes:
        """An sRGB profile that carries a text."""
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        words = text.encode("utf-16-be")
        tag = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words
        count = int.from_bytes(profile[128:132])
        moved = b"".join(
            profile[at : at + 4]
            + struct.pack(">I", int.from_bytes(profile[at + 4 : at + 8]) + 12)
            + profile[at + 8 : at + 12]
            for at in range(132, 132 + 12 * count, 12)
        )
        tag += bytes(-len(tag) % 4)
        entry = b"dmdd" + struct.pack(">II", len(profile) + 12, len(tag))
        whole = (
            profile[:128] + struct.pack(">I", count + 1) + moved + entry + profile[132 + 12 * count :] + tag
        )
        return struct.pack(">I", len(whole)) + whole[4:]

    def plain_jpeg(self, width: int = 64, height: int = 48) -> bytes:
        target = io.BytesIO()
        self.gradient(width, height).save(target, "JPEG", quality=90)
        return target.getvalue()

    def noise(self, side: int) -> bytes:
        """A JPEG that can hardly be packed: about a byte per pixel."""
        target = io.BytesIO()
        grain = Image.effect_noise((side, side), 100)
        Image.merge("RGB", (grain, grain, grain)).save(target, "JPEG", quality=95)
        return target.getvalue()

    def png(self, *, orientation: int = 1, mode: str = "RGB") -> bytes:
        target = io.BytesIO()
        info = PngInfo()
        info.add_text("Comment", "canary-comment")
        info.add_text("XML:com.adobe.xmp", "canary-xmp", zip=True)
        info.add_itxt("Author", "CanaryCamera")
        self.gradient(mode=mode).save(target, "PNG", pnginfo=info, exif=self.exif(orientation))
        data = target.getvalue()
        extra = self.png_chunk(b"gAMA", struct.pack(">I", 45455)) + self.png_chunk(b"tIME", bytes(7))
        return data[:33] + extra + data[33:] + BEHIND

    def webp(self, *, orientation: int = 1, lossless: bool = True) -> bytes:
        target = io.BytesIO()
        self.gradient().save(
            target, "WEBP", lossless=lossless, exif=self.exif(orientation), xmp=b"<x>canary-xmp</x>"
        )
        return target.getvalue() + BEHIND

    def heic(self) -> bytes:
        return (DATA / "iris.heic").read_bytes()

    def gif(self) -> bytes:
        target = io.BytesIO()
        self.gradient(mode="P").save(target, "GIF")
        return target.getvalue()

    def png_chunk(self, kind: bytes, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        )

    def png_bomb(self, width: int, height: int) -> bytes:
        """A PNG of a few kilobytes that announces so many pixels and really has all of them."""
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        packer = zlib.compressobj(9)
        rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            self.png_chunk(kind, payload)
            for kind, payload in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
        )

    def pixels(self, data: bytes) -> bytes:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGBA").tobytes()

    def size(self, data: bytes) -> tuple[int, int]:
        with Image.open(io.BytesIO(data)) as image:
            return image.size


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture(scope="session")
def settings_of_platform(platform: Platform) -> StorageSettings:
    platform.migrate("storage")
    with platform.variables_of("storage"):
        return StorageSettings()


@pytest.fixture
def settings(settings_of_platform: StorageSettings) -> StorageSettings:
    return settings_of_platform


@pytest.fixture
async def service(
    platform: Platform, settings: StorageSettings, clock: FrozenClock
) -> AsyncIterator[Service]:
    await platform.clean("storage")
    async with open_service(settings, clock) as opened:
        yield opened


@pytest.fixture
def participation(service: Service) -> ErasureParticipation:
    return STORAGE.participation(service)
