"""Looks for anything but a picture in what is served: with exiftool, and by the ends of the containers."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cluster.progress import Progress
from corpus.feed import Served
from native.install import Tool, install

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/heic": "heic"}
_READ_SECONDS: Final = 600
# What exiftool says of itself, of the file on disk, or works out of other fields.
_NOT_OF_THE_FILE: Final = frozenset(["SourceFile", "ExifTool:ExifToolVersion"])
_DERIVED_GROUPS: Final = frozenset(["Composite"])
_CONTAINER: Final = {
    "File": None,
    "JFIF": frozenset(
        ["JFIFVersion", "ResolutionUnit", "XResolution", "YResolution", "ThumbnailWidth", "ThumbnailHeight"]
    ),
    "PNG": frozenset(
        [
            "ImageWidth",
            "ImageHeight",
            "BitDepth",
            "ColorType",
            "Compression",
            "Filter",
            "Interlace",
            "Palette",
            "Transparency",
            "BackgroundColor",
            "SignificantBits",
            "Gamma",
            "SRGBRendering",
            "WhitePointX",
            "WhitePointY",
            "RedX",
            "RedY",
            "GreenX",
            "GreenY",
            "BlueX",
            "BlueY",
            "ProfileName",
            "PixelUnits",
            "PixelsPerUnitX",
            "PixelsPerUnitY",
            "ColorPrimaries",
            "TransferCharacteristics",
            "MatrixCoefficients",
            "VideoFullRangeFlag",
        ]
    ),
    "RIFF": frozenset(
        [
            "WebP_Flags",
            "ImageWidth",
            "ImageHeight",
            "VP8Version",
            "HorizontalScale",
            "VerticalScale",
            "AlphaIsUsed",
            "AlphaPreprocessing",
            "AlphaFiltering",
            "AlphaCompression",
        ]
    ),
    "APP14": frozenset(["DCTEncodeVersion", "APP14Flags0", "APP14Flags1", "ColorTransform"]),
    "EXIF": frozenset(["Orientation"]),
    "ICC_Profile": None,
}
# The parts of a colour profile that are written by people or tell whose it is: they must be empty.
_TEXTS_OF_PROFILES: Final = frozenset(
    [
        "ProfileDescription",
        "ProfileCopyright",
        "ProfileCMMType",
        "ProfileCreator",
        "ProfileID",
        "ProfileDateTime",
        "DeviceManufacturer",
        "DeviceModel",
        "DeviceMfgDesc",
        "DeviceModelDesc",
        "DeviceAttributes",
        "PrimaryPlatform",
        "CMMFlags",
        "ViewingCondDesc",
        "Technology",
        "Make And Model",
        "CharTarget",
    ]
)
_EMPTY: Final = " 0:"
"""What an empty text, number or date is made of."""
_PROFILE_NAME: Final = "icc"


def find_leaks(served: Mapping[str, Served], directory: Path) -> list[str]:
    """Return a line for each thing that no picture needs; the files looked at stay in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    names: dict[str, str] = {}
    leaks: list[str] = []
    for number, (name, rendition) in enumerate(served.items()):
        file = directory / f"{number:05}.{_EXTENSIONS[rendition.content_type]}"
        file.write_bytes(rendition.body)
        names[file.name] = name
        if tail := trailer(rendition):
            leaks.append(f"{name}: {tail} bytes behind the picture")
    for described in _described(directory) if names else []:
        name = names[Path(described["SourceFile"]).name]
        leaks += [
            f"{name}: {field} = {value!r}"[:200] for field, value in described.items() if _leaks(field, value)
        ]
    return leaks


def install_exiftool() -> None:
    """Install exiftool where it is missing; raises ClusterError where that needs a person."""
    if shutil.which("exiftool") is None:
        install([Tool("exiftool", "libimage-exiftool-perl", "exiftool")], Progress())


def _described(directory: Path) -> list[dict[str, Any]]:
    """Have exiftool tell all it knows: duplicates, unknown tags, embedded documents, raw values."""
    words = [
        "exiftool",
        "-json",
        "-G0",
        "-a",
        "-u",
        "-n",
        "-ee",
        "-api",
        "largefilesupport=1",
        "-r",
        str(directory),
    ]
    done = subprocess.run(  # noqa: S603  The words are those of this file.
        words, capture_output=True, timeout=_READ_SECONDS, check=False
    )
    described: list[dict[str, Any]] = json.loads(done.stdout)
    return described


def _leaks(field: str, value: Any) -> bool:
    group, _, tag = field.partition(":")
    if field in _NOT_OF_THE_FILE or group in _DERIVED_GROUPS:
        return False
    if group not in _CONTAINER:
        return True
    allowed = _CONTAINER[group]
    if allowed is not None and tag not in allowed:
        return True
    if group == "File" and tag == "Comment":
        return True
    if field == "PNG:ProfileName":
        return str(value) != _PROFILE_NAME
    return group == "ICC_Profile" and tag in _TEXTS_OF_PROFILES and str(value).strip(_EMPTY) != ""


def trailer(rendition: Served) -> int:
    """Count the bytes behind the end that the container itself names."""
    body = rendition.body
    match rendition.content_type:
        case "image/jpeg":
            return len(body) - _jpeg_end(body)
        case "image/png":
            return len(body) - _png_end(body)
        case "image/heic":
            # Nothing of this type is served, and its boxes may stand in any order.
            return 0
        case _:
            return len(body) - 8 - int.from_bytes(body[4:8], "little")


def _png_end(body: bytes) -> int:
    position, kind = 8, b""
    while kind != b"IEND" and position < len(body):
        kind = body[position + 4 : position + 8]
        position += 12 + int.from_bytes(body[position : position + 4])
    return position


def _jpeg_end(body: bytes) -> int:
    """Walk from segment to segment, and in coded data from marker to marker, to the first end marker."""
    position = 2
    while position + 2 <= len(body) and body[position : position + 2] != b"\xff\xd9":
        marker = body[position + 1]
        if body[position] != 0xFF or marker in (0x00, *range(0xD0, 0xD8)):  # noqa: PLR2004  Coded data.
            position = max(body.find(b"\xff", position + 1), position + 1)
            continue
        position += 2 + int.from_bytes(body[position + 2 : position + 4])
    return position + 2
