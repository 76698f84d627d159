"""What an archive says of itself: the names of its files, and a manifest with the SHA-256 of each."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from storage.exports.archive import ArchivedFile

MANIFEST: Final = "manifest.json"
FORMAT: Final = "irisvue-export/1"
_SUFFIXES: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/heic": "heic"}
_MEDIA_TYPES: Final = {
    "json": "application/json",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    **{suffix: media_type for media_type, suffix in _SUFFIXES.items()},
}


def name_of_section(service: str) -> str:
    """Return where the section of a service is."""
    return f"data/{service}.json"


def name_of_schema(service: str) -> str:
    """Return where the JSON Schema of that section is."""
    return f"schemas/{service}.schema.json"


def name_of_photo(photo_id: UUID, media_type: str) -> str:
    """Return where a photo is."""
    return f"photos/{photo_id}.{_SUFFIXES.get(media_type, 'bin')}"


def manifest(export_id: UUID, requested_at: datetime, files: Sequence[ArchivedFile]) -> bytes:
    """Return the manifest: every other file with size, SHA-256 in hex, and schema if it has one."""
    named = {file.name for file in files}
    document = {
        "format": FORMAT,
        "export_id": str(export_id),
        "requested_at": requested_at.isoformat().replace("+00:00", "Z"),
        "files": [_listed(file, named) for file in files],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _listed(file: ArchivedFile, named: set[str]) -> dict[str, str | int]:
    listed: dict[str, str | int] = {
        "path": file.name,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "media_type": _MEDIA_TYPES.get(file.name.rpartition(".")[2], "application/octet-stream"),
    }
    folder, _, rest = file.name.partition("/")
    schema = name_of_schema(rest.removesuffix(".json"))
    if folder == "data" and schema in named:
        listed["schema"] = schema
    return listed
