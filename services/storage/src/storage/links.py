"""Links that carry rights: signed for reading, random for uploading; each for one photo and one method.

Every link names the session that it was handed to, so that the gateway can refuse it from the moment in which
that session ends, by a sign-out or with the account, without asking anybody.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from storage.policy import LinkGone, LinkRefused, Rendition

PATHS = {Rendition.ORIGINAL: "content", Rendition.THUMBNAIL: "thumbnail"}
TOKEN_BYTES = 32


class UploadWay(StrEnum):
    """How a photo comes over its upload link; the method is part of what is signed."""

    WHOLE = "PUT"
    IN_PIECES = "PATCH"


@dataclass(frozen=True, slots=True)
class UploadToken:
    """A secret of 256 bits with our signature, good for one photo and session; just its hash is kept."""

    text: str
    session_id: UUID

    def digest(self) -> str:
        """Return what is stored: SHA-256 in hex, enough for a value that can't be guessed."""
        return hashlib.sha256(f"{self.session_id}|{self.text}".encode()).hexdigest()


class Links:
    """Makes and checks the addresses that the app is given."""

    def __init__(self, key: bytes, *, public_url: str, read_for: timedelta) -> None:
        self._key = key
        self._base = f"{public_url.rstrip('/')}/api/v1/photos"
        self._read_for = read_for

    def upload_token(self, photo_id: UUID, session_id: UUID, way: UploadWay = UploadWay.WHOLE) -> UploadToken:
        """Return a token that nobody else has."""
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        signature = self._sign_upload(way, photo_id, session_id, secret)
        return UploadToken(f"{secret}.{signature}", session_id)

    def check_upload(self, photo_id: UUID, token: UploadToken, way: UploadWay = UploadWay.WHOLE) -> None:
        """Accept a token that was issued for this way to this photo, whether or not there still is one.

        Raises `LinkRefused`. Decided by the signature alone: nobody learns by guessing which photos exist.
        """
        secret, _, signature = token.text.rpartition(".")
        right = self._sign_upload(way, photo_id, token.session_id, secret)
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise LinkRefused

    def upload_url(self, photo_id: UUID, token: UploadToken, way: UploadWay = UploadWay.WHOLE) -> str:
        """Return the address that takes the photo's bytes this way."""
        query = urlencode({"session": token.session_id, "token": token.text})
        path = f"{photo_id}/content" if way is UploadWay.WHOLE else f"uploads/{photo_id}"
        return f"{self._base}/{path}?{query}"

    def read_url(self, photo_id: UUID, rendition: Rendition, *, session_id: UUID, now: datetime) -> str:
        """Return the address that reads one rendition until the link expires or the session ends.

        It stays the same for half its life, so that what was read over it can be kept by its address. Those
        of different photos change at different moments, so that a list is never read anew all at once.
        """
        life = int(self._read_for.total_seconds())
        half = max(life // 2, 1)
        expires = int(now.timestamp()) - (int(now.timestamp()) + photo_id.int) % half + life
        signature = self._sign(photo_id, rendition, session_id, expires)
        query = urlencode({"session": session_id, "expires": expires, "signature": signature})
        return f"{self._base}/{photo_id}/{PATHS[rendition]}?{query}"

    def check(
        self,
        photo_id: UUID,
        rendition: Rendition,
        *,
        session_id: UUID,
        expires: int,
        signature: str,
        now: datetime,
    ) -> None:
        """Accept a link that was issued and is not over; raises `LinkRefused` or `LinkGone`."""
        right = self._sign(photo_id, rendition, session_id, expires)
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise LinkRefused
        if now >= datetime.fromtimestamp(expires, UTC):
            raise LinkGone

    def _sign_upload(self, way: UploadWay, photo_id: UUID, session_id: UUID, secret: str) -> str:
        text = f"irisvue/upload-link/1|{way}|{photo_id}|{session_id}|{secret}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _sign(self, photo_id: UUID, rendition: Rendition, session_id: UUID, expires: int) -> str:
        # The method is part of what is signed: a link that reads can never write.
        text = f"irisvue/read-link/2|GET|{photo_id}|{rendition}|{session_id}|{expires}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
