"""Which headers cross the gateway, and which it replaces by what it knows itself."""

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from chassis.networks import normalised

RawHeaders = Collection[tuple[bytes, bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 9110 §7.6.1, and the older names that still occur.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Claims about the client that only the gateway may make, and what concerns this connection alone.
_NOT_FROM_CLIENTS = frozenset(
    {
        b"host",
        b"expect",
        b"content-length",
        b"forwarded",
        b"x-real-ip",
        b"x-request-id",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-http-method-override",
        b"x-service-token",
        b"traceparent",
    }
)
# The gateway answers with its own.
_NOT_FROM_SERVICES = frozenset(
    {b"server", b"date", b"x-request-id", b"traceparent", b"x-content-type-options", b"referrer-policy"}
)
_WITHOUT_BODY = frozenset({204, 304})
_ANSWER_HEADERS = "irisvue.answer_headers"


def header(headers: RawHeaders, name: bytes) -> str | None:
    """Return the first header called `name` (lower case), or None."""
    for key, value in headers:
        if key.lower() == name:
            return value.decode("utf-8", "replace")
    return None


def _connection_scoped(headers: RawHeaders) -> frozenset[bytes]:
    """Return hop-by-hop names, with those that a Connection header adds."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    return _HOP_BY_HOP | named


@dataclass(frozen=True, slots=True)
class TrustedHeaders:
    """What the gateway says about a request, in place of whatever the client said."""

    client: str
    scheme: str
    request_id: str
    traceparent: str
    service_token: str
    """Proves to the service that it is the gateway who says so."""


def forwarded_request_headers(headers: RawHeaders, trusted: TrustedHeaders) -> list[tuple[str, str]]:
    """Return what the service gets: the client's end-to-end headers, and those that it can trust."""
    dropped = _connection_scoped(headers) | _NOT_FROM_CLIENTS
    passed = [
        (name.decode("ascii"), value.decode("utf-8", "replace"))
        for name, value in headers
        if name.lower() not in dropped and not name.lower().startswith(b"x-forwarded")
    ]
    return [
        *passed,
        ("X-Forwarded-For", trusted.client),
        ("X-Forwarded-Proto", trusted.scheme),
        ("X-Request-ID", trusted.request_id),
        ("traceparent", trusted.traceparent),
        ("X-Service-Token", trusted.service_token),
    ]


def forwarded_answer_headers(headers: RawHeaders, *, status: int) -> list[tuple[bytes, bytes]]:
    """Return what the client gets of a service's headers."""
    dropped = _connection_scoped(headers) | _NOT_FROM_SERVICES
    if status in _WITHOUT_BODY:
        dropped |= {b"content-length"}
    return [(name.lower(), value) for name, value in headers if name.lower() not in dropped]


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """Return the client's address: the peer, or what trusted proxies before us say about it.

    Proxies append to X-Forwarded-For, some with a port and brackets, so it is read from the right, for as
    long as we trust who wrote. The answer has one spelling, without either.
    """
    peer = scope["client"][0] if scope.get("client") else "unknown"
    address = normalised(peer)
    written = [
        part
        for name, value in scope["headers"]
        if name.lower() == b"x-forwarded-for"
        for part in value.decode("utf-8", "replace").split(",")
    ]
    while written and address is not None and any(address in network for network in trusted):
        claim = normalised(written.pop())
        if claim is None:
            # Whoever wrote that is not to be believed.
            break
        address = claim
    return peer if address is None else str(address)


def answer_headers(scope: Scope) -> dict[str, str]:
    """Return the headers that this request's answer will carry, whoever gives it; to be added to."""
    headers: dict[str, str] = scope.setdefault(_ANSWER_HEADERS, {})
    return headers
