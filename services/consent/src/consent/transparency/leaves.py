"""What a leaf of the log is the hash of: the canonical JSON of all that names nobody; pure.

The JSON is that of RFC 8785, for which sorted keys of ASCII letters, no spaces and UTF-8 suffice. What came
later is left out where it is empty, so that the leaves of older entries stay what they are. The epoch, how
often somebody has changed one consent, may stand here: the salted commitment beside it leads to nobody.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


def _moment(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no canonical form")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_ENCODER = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    ensure_ascii=False,
    check_circular=False,
    default=_moment,
)


class Source(StrEnum):
    """The table that a leaf comes from."""

    ENTRY = "entry"
    ANCHOR = "anchor"


def commitment_to(committed: dict[str, str | None], salt: bytes) -> str:
    """Return the SHA-256, in hex, over the salt and the canonical JSON of the personal fields."""
    canonical = json.dumps(committed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(salt + canonical.encode()).hexdigest()


def entry_leaf(fields: Mapping[str, Any]) -> bytes:
    """Return the leaf of an entry of the ledger, given all its fields but position and personal ones."""
    return _canonical({"leaf": "entry/1", **fields})


def anchor_leaf(kind: str, digest: str, anchored_at: datetime) -> bytes:
    """Return the leaf of a digest that is kept here: SHA-256 in hex of a document of that kind."""
    return _canonical({"leaf": "anchor/1", "kind": kind, "digest": digest, "anchored_at": anchored_at})


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode({name: value for name, value in fields.items() if value is not None}).encode()
