"""Documents that are made once and handed out as they are, or not at all to who has them already."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

MAX_AGE_SECONDS = 60
_NOT_MODIFIED = 304


class KeptDocument:
    """The bytes of a document, and the tag that names exactly these (RFC 9110 §8.8.3)."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        self._body = body
        self._media_type = media_type
        self._headers = dict(headers or {})

    @cached_property
    def etag(self) -> str:
        """The entity tag."""
        return f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'

    def answer(self, request: Request) -> Response:
        """Return the document, or 304 for who names its tag in If-None-Match (RFC 9110 §13.1.2)."""
        headers = {**self._headers, "ETag": self.etag, "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
        named = [
            tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")
        ]
        if self.etag in named or "*" in named:
            return Response(status_code=_NOT_MODIFIED, headers=headers)
        return Response(self._body, headers=headers, media_type=self._media_type)
