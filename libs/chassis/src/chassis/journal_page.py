"""A page of the erasure journal: keyed hashes of erased people, chained to the page before it.

A page names nobody: what stands in it leads to a person only for whoever has the person's id and the key.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

LARGEST_PAGE = 1024 * 1024
ENTRIES = 500
"""Entries of a page, at most: a page stays well below `LARGEST_PAGE` bytes."""
FIRST_PREVIOUS = ""


class JournalBroken(Exception):
    """The journal can't be followed: a page is missing, was changed, or was written with another key."""


@dataclass(frozen=True)
class JournalEntry:
    """Somebody whose erasure has begun: keyed hash (64 hex digits), id of the erasure if known, moment."""

    subject: str
    erasure_id: UUID | None
    erased_at: datetime


@dataclass(frozen=True)
class JournalPage:
    """Page number `position` of a schema's journal; the first is 1.

    `key` names the oldest key of the hashes, `previous` is the digest of the page before (64 hex digits).
    """

    schema: str
    position: int
    key: str
    previous: str
    entries: Sequence[JournalEntry]

    def encoded(self) -> bytes:
        """Return the page as it is stored: JSON in one form, so that the same page has the same digest."""
        said = {
            "schema": self.schema,
            "position": self.position,
            "key": self.key,
            "previous": self.previous,
            "entries": [
                {
                    "subject": entry.subject,
                    "erasure_id": None if entry.erasure_id is None else str(entry.erasure_id),
                    "erased_at": entry.erased_at.isoformat(),
                }
                for entry in self.entries
            ],
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, body: bytes) -> "JournalPage":
        """Read a page; raises `JournalBroken` for what is none."""
        try:
            said = json.loads(body)
            entries = [
                JournalEntry(
                    str(entry["subject"]),
                    None if entry["erasure_id"] is None else UUID(entry["erasure_id"]),
                    datetime.fromisoformat(entry["erased_at"]),
                )
                for entry in said["entries"]
            ]
            return cls(str(said["schema"]), int(said["position"]), said["key"], said["previous"], entries)
        except (ValueError, TypeError, KeyError) as error:
            raise JournalBroken(f"an object of the journal is no page ({type(error).__name__})") from error


def digest_of(body: bytes) -> str:
    """Return what the next page calls this one: SHA-256 in 64 hex digits."""
    return hashlib.sha256(body).hexdigest()
