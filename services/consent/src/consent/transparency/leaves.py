"""What a leaf of the log is the hash of: the canonical JSON of all that names nobody; pure.

The JSON is that of RFC 8785, for which sorted keys of ASCII letters, no spaces and UTF-8 suffice. What came
later is left out where it is empty, so that the leaves of older entries stay what they are. The epoch, how
often somebody has changed one consent, may stand here: the salted commitment beside it leads to nobody.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, zip_longest
from json.encoder import encode_basestring
from json.encoder import encode_basestring_ascii as _ascii
from typing import Any


def _moment(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no canonical form")
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


_ENCODER = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    ensure_ascii=False,
    check_circular=False,
    default=_moment,
)


_MOST_PATTERNS = 10_000


class Source(StrEnum):
    """The table that a leaf comes from."""

    ENTRY = "entry"
    ANCHOR = "anchor"


def commitment_to(committed: dict[str, str | None], salt: bytes) -> str:
    """Return the SHA-256, in hex, over the salt and the canonical JSON of the personal fields."""
    fields = ",".join(
        [f'"{name}":{"null" if said is None else _ascii(said)}' for name, said in sorted(committed.items())]
    )
    return hashlib.sha256(b"%b{%b}" % (salt, fields.encode())).hexdigest()


def entry_leaf(fields: Mapping[str, Any]) -> bytes:
    """Return the leaf of an entry of the ledger, given all its fields but position and personal ones."""
    return _canonical({"leaf": "entry/1", **fields})


class EntryLeaves:
    """The leaves of many entries, which say most things alike: those are written once, by `entry_leaf`."""

    def __init__(self, alike: Sequence[str], differing: Sequence[str]) -> None:
        """Take the names of the fields in which entries are alike, and of those in which each differs."""
        self._alike = alike
        self._differing = sorted(differing)
        # What stands for a value that differs; nobody who writes entries can know it.
        self._gap = secrets.token_hex(16)
        self._patterns: dict[tuple[Any, ...], list[str]] = {}

    def leaf(self, row: Mapping[str, Any]) -> bytes:
        """Return the leaf of an entry, given a row that has these fields."""
        said = [row[name] for name in self._differing]
        alike = [
            tuple(value) if type(value) is list else value for value in map(row.__getitem__, self._alike)
        ]
        key = (*alike, *(value is None for value in said))
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._remember(key, row)
        written = [
            f'"{_moment(it)}"' if isinstance(it, datetime) else encode_basestring(it)
            for it in said
            if it is not None
        ]
        return "".join(chain.from_iterable(zip_longest(pattern, written, fillvalue=""))).encode()

    def _remember(self, key: tuple[Any, ...], row: Mapping[str, Any]) -> list[str]:
        if len(self._patterns) >= _MOST_PATTERNS:
            self._patterns.clear()
        fields = {name: row[name] for name in self._alike}
        fields |= {name: None if row[name] is None else self._gap for name in self._differing}
        pattern = self._patterns[key] = entry_leaf(fields).decode().split(f'"{self._gap}"')
        return pattern


def anchor_leaf(kind: str, digest: str, anchored_at: datetime) -> bytes:
    """Return the leaf of a digest that is kept here: SHA-256 in hex of a document of that kind."""
    return _canonical({"leaf": "anchor/1", "kind": kind, "digest": digest, "anchored_at": anchored_at})


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode({name: value for name, value in fields.items() if value is not None}).encode()
