"""Documents that are made once and handed out as they are, or not at all to who has them already."""

import gzip
import hashlib
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MAX_AGE_SECONDS = 60
_WORTH_COMPRESSING = 1024
_PIECE_BYTES = 64 * 1024
_NOT_MODIFIED = 304


class KeptDocument:
    """The bytes of a document, plain and compressed, and the tags that name them (RFC 9110 §8.8.3)."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        tag = hashlib.sha256(body).hexdigest()[:32]
        self._media_type = media_type
        self._headers = dict(headers or {})
        self._plain = (body, f'"{tag}"')
        self._compressed = (gzip.compress(body, mtime=0), f'"{tag}-gzip"')
        self._may_compress = len(body) >= _WORTH_COMPRESSING

    def answer(self, request: Request) -> Response:
        """Return the document, or 304 for who names its tag in If-None-Match (RFC 9110 §13.1.2)."""
        compressed = self._may_compress and _takes_gzip(request.headers.get("Accept-Encoding", ""))
        body, etag = self._compressed if compressed else self._plain
        headers = {
            **self._headers,
            "ETag": etag,
            "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Vary": "Accept-Encoding",
            **({"Content-Encoding": "gzip"} if compressed else {}),
        }
        condition = request.headers.get("If-None-Match", "")
        named = {tag.strip().removeprefix("W/") for tag in condition.split(",")}
        if named & {etag, "*"}:
            return Response(status_code=_NOT_MODIFIED, headers=headers)
        return _PiecewiseResponse(body, headers=headers, media_type=self._media_type)


def _takes_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding names gzip without refusing it (RFC 9110 §12.5.3)."""
    for part in accepted.split(","):
        name, _, weight = part.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "").rstrip("0").rstrip(".") != "q="
    return False


class _PiecewiseResponse(Response):
    """Sends the kept bytes piece by piece, so that a slow reader costs a piece and not a copy of all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for begin in range(0, len(body), _PIECE_BYTES):
            piece = bytes(body[begin : begin + _PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
