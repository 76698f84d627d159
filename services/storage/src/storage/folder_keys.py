"""The keys that name people's folders in the bucket: the newest names new ones, all find the old ones.

The oldest comes of the tombstone key and needs no setting. A newer one names folders only when every process
knows it, an hour after its first use: an erasure must look into every folder that anybody writes to.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.clock import Clock
from chassis.known_keys import OVERLAP
from chassis.sealing import key_id

SETTING: Final = "STORAGE_FOLDER_KEYS"


def by_name(keys: Sequence[bytes]) -> dict[str, bytes]:
    """Return keys by the names that the schema remembers them under: that of the setting, with their ids."""
    return {f"{SETTING}, {key_id(key).hex()}": key for key in keys}


class FolderKeys:
    """The newer keys, the newest first, and the oldest one; `first_used` says since when a name is known."""

    def __init__(
        self, newer: Sequence[bytes], *, oldest: bytes, first_used: Mapping[str, datetime], clock: Clock
    ) -> None:
        self._newer = by_name(newer)
        self._oldest = oldest
        self._first_used = first_used
        self._clock = clock

    def folder(self, user_id: UUID) -> str:
        """Return the prefix under which something new of a person is put."""
        known_by = self._clock.now() - OVERLAP
        for name, key in self._newer.items():
            if (since := self._first_used.get(name)) is not None and since <= known_by:
                return _folder(key, user_id)
        return _folder(self._oldest, user_id)

    def folders(self, user_id: UUID) -> list[str]:
        """Return every prefix under which something of a person may lie."""
        return [_folder(key, user_id) for key in (*self._newer.values(), self._oldest)]


def _folder(key: bytes, user_id: UUID) -> str:
    return f"{hmac.new(key, user_id.bytes, hashlib.sha256).hexdigest()}/"
