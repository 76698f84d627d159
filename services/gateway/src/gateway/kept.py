"""Documents that are made once and handed out as they are, or not at all to who has them already."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MAX_AGE_SECONDS = 60
_PIECE_BYTES = 64 * 1024
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
        return _PiecewiseResponse(self._body, headers=headers, media_type=self._media_type)


class _PiecewiseResponse(Response):
    """Sends the kept bytes piece by piece, so that a slow reader costs a piece and not a copy of all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body) if scope["method"] != "HEAD" else memoryview(b"")
        for begin in range(0, len(body), _PIECE_BYTES):
            piece = bytes(body[begin : begin + _PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
