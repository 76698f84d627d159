"""The evidence of one erasure in one file: a ZIP whose manifest has the SHA-256 of everything in it."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MANIFEST = "manifest.json"
# A ZIP wants a local time for each file (APPNOTE 4.4.6); the manifest says when it was made.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def packed(
    files: Mapping[str, bytes], *, missing: Mapping[str, str], made_at: datetime, said: Mapping[str, Any]
) -> bytes:
    """Return a ZIP of `files` and a manifest, which also has `said` and names what is missing and why."""
    manifest = {
        **said,
        "made_at": made_at.isoformat(),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        "missing": dict(sorted(missing.items())),
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [(MANIFEST, as_json(manifest)), *sorted(files.items())]:
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content)
    return target.getvalue()


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return JSON for people and programs."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
