"""What the gateway hands out about the platform: descriptions for programs, and a viewer for people.

All of it is made at build time and lies beside this file; the viewer is Swagger UI as its makers publish it,
held against checksums, and loads nothing from elsewhere.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.events_page import render

VIEWER = files("gateway") / "viewer"
OPENAPI = files("gateway") / "openapi.json"
ASYNCAPI = files("contracts") / "asyncapi.json"
_POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_JSON, _PAGE, _SCRIPT, _STYLE = "application/json", "text/html", "text/javascript", "text/css"
_VIEWER_FILES = {
    "start.js": _SCRIPT,
    "page.css": _STYLE,
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": _STYLE,
}
MAX_AGE_SECONDS = 60
_WORTH_COMPRESSING = 1024
_PIECE_BYTES = 64 * 1024
_NOT_MODIFIED = 304


class StaticDocument:
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


def served_documents(public_url: str) -> Mapping[str, StaticDocument]:
    """Return every document by its path; the description names `public_url` as the server."""
    events = ASYNCAPI.read_text()
    return {
        "/openapi.json": StaticDocument(_openapi(public_url), _JSON),
        "/docs": StaticDocument(_read(VIEWER / "docs.html"), _PAGE, _POLICY),
        "/asyncapi": StaticDocument(render(json.loads(events)).encode(), _PAGE, _POLICY),
        "/asyncapi.json": StaticDocument(events.encode(), _JSON),
        **{
            f"/docs/{name}": StaticDocument(_read(VIEWER / name), media_type)
            for name, media_type in _VIEWER_FILES.items()
        },
    }


def _openapi(public_url: str) -> bytes:
    document = json.loads(_read(OPENAPI))
    document["servers"] = [{"url": public_url}]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _read(file: Traversable) -> bytes:
    return file.read_bytes()
