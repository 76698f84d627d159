"""Keyed hashes of people: under which they are remembered when they are erased, whichever key hashed them.

Several keys stand beside each other, the newest first. None is ever taken away: whoever was erased under it
would not be recognised any more.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, any_, bindparam, func, select

from chassis.sealing import key_id
from chassis.tables import tables_of


class TombstoneKeys:
    """The keys of one schema: the first one hashes from now on, the last one is the oldest."""

    def __init__(self, schema: str, keys: bytes | Sequence[bytes]) -> None:
        self._keys = [keys] if isinstance(keys, bytes) else list(keys)
        name = f"{schema.upper()}_TOMBSTONE_KEY"
        *newer, oldest = self._keys
        self.by_name: Mapping[str, bytes] = {
            name: oldest,
            **{f"{name}, {key_id(key).hex()}": key for key in newer},
        }
        self.overlap_until: datetime | None = None

    def raised_under(self, now: datetime) -> int:
        """Return under how many of the newest keys tombstones are raised now.

        Two for a while after a key was added: processes that do not know it yet must see the tombstone too.
        """
        return 1 if self.overlap_until is None or now >= self.overlap_until else 2

    def newest_hash(self, user_id: UUID) -> str:
        """Return the hash under which a person is remembered from now on: 64 hex digits."""
        return _keyed_hash(self._keys[0], user_id)

    def hashes(self, user_id: UUID) -> str:
        """Return every hash under which a person may be remembered, with commas, the newest key's first."""
        return ",".join(_keyed_hash(key, user_id) for key in self._keys)

    def subkey(self, purpose: str) -> bytes:
        """Return a secret for one purpose: 32 bytes, by the oldest key, so that they stay the same."""
        return hmac.new(self._keys[-1], f"irisvue/{purpose}".encode(), hashlib.sha256).digest()


def is_buried(schema: str) -> ColumnElement[bool]:
    """Return whether the person has a tombstone whose hashes are the parameter `person_hash`.

    That is what `TombstoneKeys.hashes` returns.
    """
    stones = tables_of(schema).tombstones.c.subject_hash
    hashes = func.string_to_array(bindparam("person_hash", type_=Text), ",")
    return select(stones).where(stones == any_(hashes)).exists()


def _keyed_hash(key: bytes, user_id: UUID) -> str:
    return hmac.new(key, user_id.bytes, hashlib.sha256).hexdigest()
