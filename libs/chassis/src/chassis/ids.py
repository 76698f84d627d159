"""Identifiers of rows and events."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a UUID version 7: ordered by time, unique, never a secret (RFC 9562 §5.7, §8)."""
    return uuid7()
