"""Cross-origin calls (Fetch, §3.2): pages of named origins may call everything and read every answer."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.doorway import answer_headers
from gateway.headers import header

PREFLIGHT_SECONDS = 7200
"""As long as Chromium keeps the answer to a preflight at most."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, "
    "Last-Event-ID, Range, Sec-GPC, traceparent, Tus-Resumable, Upload-Concat, Upload-Defer-Length, "
    "Upload-Length, Upload-Metadata, Upload-Offset, X-Erasure-Token, X-Request-ID"
)
_ANSWER_HEADERS = (
    "Accept-Ranges, Allow, Content-Range, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Expires, Upload-Length, "
    "Upload-Metadata, Upload-Offset, WWW-Authenticate, X-Request-ID"
)


class Cors:
    """Answers preflights for every address, and marks every answer; there are no credentials in cookies."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and self._origins:
            told = answer_headers(scope)
            told["Vary"] = "Origin"
            origin = header(scope["headers"], b"origin")
            if origin in self._origins:
                told["Access-Control-Allow-Origin"] = origin
                if _is_preflight(scope):
                    await _PREFLIGHT(scope, receive, send)
                    return
                told["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
        await self._app(scope, receive, send)


_PREFLIGHT = Response(
    status_code=204,
    headers={
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Cache-Control": f"max-age={PREFLIGHT_SECONDS}",
    },
)


def _is_preflight(scope: Scope) -> bool:
    asks = header(scope["headers"], b"access-control-request-method") is not None
    return scope["method"] == "OPTIONS" and asks


def check_origin(text: str) -> str:
    """Return the origin `text` as browsers write it (RFC 6454 §6.2); raises ValueError for anything else."""
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "*" in text
        or f"{parts.scheme}://{parts.netloc}" != text
        or parts.username is not None
        or text != text.lower()
    ):
        raise ValueError("must read like https://app.example or http://localhost:8081, and is never *")
    return text
