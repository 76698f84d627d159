"""Links of exports: to fetch an archive, and for a contributor to write its section.

An archive's link names the session that it was handed to, so that the gateway can refuse it from the moment
in which that session ends. What is signed says which kind of link it is: none serves for another.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from storage.exports.policy import ArchiveGone, ExportOver
from storage.policy import LinkRefused


@dataclass(frozen=True, slots=True)
class ArchiveLink:
    """What proves the right to one version of an archive, until `expires` (seconds since 1970)."""

    session_id: UUID
    version: int
    expires: int
    signature: str


@dataclass(frozen=True, slots=True)
class SectionLink:
    """What proves the right to write one section, in one attempt, until `expires`."""

    attempt: UUID
    expires: int
    signature: str


class ExportLinks:
    """Makes and checks the addresses."""

    def __init__(self, key: bytes, *, public_url: str) -> None:
        self._key = key
        self._base = f"{public_url.rstrip('/')}/api/v1/privacy/data-export"

    def archive_url(self, export_id: UUID, *, version: int, session_id: UUID, expires: datetime) -> str:
        """Return the address that gives the archive, once."""
        until = int(expires.timestamp())
        signature = self._sign("archive", export_id, version, session_id, until)
        query = {"session": session_id, "version": version, "expires": until, "signature": signature}
        return f"{self._base}/{export_id}/archive?{urlencode(query)}"

    def check_archive(self, export_id: UUID, link: ArchiveLink, *, now: datetime) -> None:
        """Accept a link that was issued and is not over; raises `LinkRefused` or `ArchiveGone`."""
        right = self._sign("archive", export_id, link.version, link.session_id, link.expires)
        if not hmac.compare_digest(right.encode(), link.signature.encode()):
            raise LinkRefused
        if now >= datetime.fromtimestamp(link.expires, UTC):
            raise ArchiveGone

    def section_path(self, export_id: UUID, service: str, *, attempt: UUID, expires: datetime) -> str:
        """Return the path that takes a section."""
        until = int(expires.timestamp())
        signature = self._sign("section", export_id, service, attempt, until)
        query = urlencode({"attempt": attempt, "expires": until, "signature": signature})
        return f"/internal/exports/{export_id}/sections/{service}?{query}"

    def check_section(self, export_id: UUID, service: str, link: SectionLink, *, now: datetime) -> None:
        """Accept a link that was issued to that service and is not over; else as an archive's."""
        right = self._sign("section", export_id, service, link.attempt, link.expires)
        if not hmac.compare_digest(right.encode(), link.signature.encode()):
            raise LinkRefused
        if now >= datetime.fromtimestamp(link.expires, UTC):
            raise ExportOver

    def _sign(self, kind: str, *parts: object) -> str:
        text = "|".join(["irisvue/export-link/1", kind, *map(str, parts)])
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
