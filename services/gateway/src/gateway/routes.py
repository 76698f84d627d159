"""The routing table: what is public, who answers it, and under which conditions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from chassis.problems import NotFound
from gateway.problems import MethodNotAllowed


class Moved(Exception):
    """The address stands without the slash at its end."""

    def __init__(self, path: str) -> None:
        super().__init__("the address has a slash too many")
        self.path = path


MEGABYTE = 1_000_000

BODY_LIMIT = MEGABYTE
SENDS_PHOTOS = frozenset({"PATCH", "POST", "PUT"})
HELD_BODY_LIMIT = 64_000
"""The body of a request that waits for its service is kept in memory."""

ANSWER_SECONDS = 5.0
EVERYBODY_SECONDS = 8.0
"""Where a service asks all others before it answers, and waits five seconds for the slowest."""
TRANSFER_SECONDS = 60.0
PASSWORD_SECONDS = 14.0
"""Where a password is hashed, those who come at once wait for each other."""
"""How long storage may be silent while a photo passes; how slow the client may be is the pace's matter."""

# A path parameter is an id or a code. Percent signs never match, so nothing encoded can hide a slash or dots.
_PARAMETER = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,128}"
# The number of a tile is a path of its own (C2SP tlog-tiles).
_PARAMETERS = {"{tile_number}": r"(?:x[0-9]{3}/){0,6}[0-9]{3}(?:\.p/[0-9]{1,3})?"}


class Upstream(StrEnum):
    """The services behind the door."""

    IDENTITY = "identity"
    CONSENT = "consent"
    STORAGE = "storage"


class Access(StrEnum):
    """Who may pass."""

    OPEN = "open"
    BEARER = "bearer"
    LINK = "link"
    """Who holds a link of a session that has not ended; the rest of the link is storage's to check."""


class RateClass(StrEnum):
    """Which limit counts a request: per address, but the last two per person."""

    REGISTER = "register"
    LOGIN = "login"
    REFRESH = "refresh"
    RECOVER = "recover"
    PUBLIC = "public"
    LINK = "link"
    REFUSED = "refused"
    """Requests whose token was refused."""
    USER = "user"
    UPLOAD = "upload"


class Ends(StrEnum):
    """What a successful answer ends, as seen from the caller's token."""

    SESSION = "session"
    ALL_SESSIONS = "all sessions"
    NAMED_SESSION = "the session that the path ends with"


@dataclass(frozen=True, slots=True)
class Route:
    """One public operation."""

    method: str
    path: str
    upstream: Upstream
    access: Access
    rate: RateClass
    body_limit: int = BODY_LIMIT
    deadline: float = ANSWER_SECONDS
    """How many seconds the service has for its answer, and for each next piece of it."""
    transfers: bool = False
    """Whether the body may take longer than the deadline, as long as it keeps the least speed."""
    ends: Ends | None = None
    held: bool = False
    """Whether the request waits for a service that is away, and is asked again until it answers."""
    repeats: bool = False
    """Whether who has ended their session here may ask, by Idempotency-Key, for the answer that they lost."""


def _open(upstream: Upstream, rate: RateClass, method: str, path: str, **more: Any) -> Route:
    return Route(method, path, upstream, Access.OPEN, rate, **more)


def _bearer(upstream: Upstream, method: str, path: str, **more: Any) -> Route:
    return Route(method, path, upstream, Access.BEARER, RateClass.USER, **more)


def _link(method: str, path: str) -> Route:
    """Return a signed link: the link itself is the permission, storage checks it."""
    return _photo(method, path, Access.LINK, RateClass.LINK)


def _photo(method: str, path: str, access: Access, rate: RateClass) -> Route:
    """Return a route over which a photo passes, or a part of one."""
    return Route(method, path, Upstream.STORAGE, access, rate, deadline=TRANSFER_SECONDS, transfers=True)


_IDENTITY, _CONSENT, _STORAGE = Upstream.IDENTITY, Upstream.CONSENT, Upstream.STORAGE

ROUTES: tuple[Route, ...] = (
    _open(_IDENTITY, RateClass.REGISTER, "POST", "/api/v1/auth/register", deadline=PASSWORD_SECONDS),
    _open(_IDENTITY, RateClass.LOGIN, "POST", "/api/v1/auth/login", deadline=PASSWORD_SECONDS),
    _open(_IDENTITY, RateClass.LOGIN, "POST", "/api/v1/auth/login/json", deadline=PASSWORD_SECONDS),
    _open(_IDENTITY, RateClass.LOGIN, "POST", "/api/v1/auth/apple"),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/apple/link"),
    _bearer(_IDENTITY, "DELETE", "/api/v1/auth/apple/link"),
    _open(_IDENTITY, RateClass.PUBLIC, "POST", "/api/v1/auth/apple/notifications"),
    _open(_IDENTITY, RateClass.LOGIN, "POST", "/api/v1/auth/google"),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/google/link"),
    _bearer(_IDENTITY, "DELETE", "/api/v1/auth/google/link"),
    _bearer(_IDENTITY, "GET", "/api/v1/auth/providers"),
    Route(
        "POST",
        "/api/v1/auth/refresh",
        _IDENTITY,
        Access.OPEN,
        RateClass.REFRESH,
        HELD_BODY_LIMIT,
        # A phone that is told "no" here forgets its tokens, and asking twice has no second effect.
        held=True,
    ),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/logout", ends=Ends.SESSION),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/logout-all", ends=Ends.ALL_SESSIONS),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/logout-others"),
    _bearer(_IDENTITY, "GET", "/api/v1/auth/sessions"),
    _bearer(_IDENTITY, "DELETE", "/api/v1/auth/sessions/{session_id}", ends=Ends.NAMED_SESSION),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/auth/verify-email"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/verify-email"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/decline-address"),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/auth/cancel-deletion"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/cancel-deletion"),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/resend-verification"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/request-password-reset"),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/auth/reset-password"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/reset-password", deadline=PASSWORD_SECONDS),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/auth/request-deletion"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/request-deletion"),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/auth/confirm-deletion"),
    _open(_IDENTITY, RateClass.RECOVER, "POST", "/api/v1/auth/confirm-deletion"),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/change-password", deadline=PASSWORD_SECONDS),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/passkeys/registration/options"),
    _bearer(_IDENTITY, "POST", "/api/v1/auth/passkeys/registration/verify"),
    _open(_IDENTITY, RateClass.LOGIN, "POST", "/api/v1/auth/passkeys/authentication/options"),
    _open(_IDENTITY, RateClass.LOGIN, "POST", "/api/v1/auth/passkeys/authentication/verify"),
    _bearer(_IDENTITY, "GET", "/api/v1/auth/passkeys"),
    _bearer(_IDENTITY, "DELETE", "/api/v1/auth/passkeys/{passkey_id}"),
    _bearer(_IDENTITY, "GET", "/api/v1/users/me"),
    _bearer(_IDENTITY, "GET", "/api/v1/users/me/erasure-preview", deadline=EVERYBODY_SECONDS),
    _bearer(_IDENTITY, "PATCH", "/api/v1/users/me"),
    _bearer(_IDENTITY, "DELETE", "/api/v1/users/me", ends=Ends.ALL_SESSIONS, repeats=True),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/privacy/erasures/{erasure_id}"),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/api/v1/privacy/erasures/{erasure_id}/certificate"),
    _bearer(_IDENTITY, "POST", "/api/v1/operations/holds", deadline=EVERYBODY_SECONDS),
    _bearer(_IDENTITY, "GET", "/api/v1/operations/holds"),
    _bearer(_IDENTITY, "POST", "/api/v1/operations/holds/{hold_id}/release"),
    _open(_IDENTITY, RateClass.PUBLIC, "GET", "/.well-known/jwks.json"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/jurisdiction"),
    _bearer(_CONSENT, "GET", "/api/v1/privacy/consent"),
    _bearer(_CONSENT, "POST", "/api/v1/privacy/consent"),
    _bearer(_CONSENT, "GET", "/api/v1/privacy/consent/biometric-status"),
    _bearer(_CONSENT, "POST", "/api/v1/privacy/consent/{consent_id}/withdraw"),
    _bearer(_CONSENT, "GET", "/api/v1/privacy/consent/{consent_id}/receipt"),
    _bearer(_CONSENT, "GET", "/api/v1/privacy/preferences"),
    _bearer(_CONSENT, "PUT", "/api/v1/privacy/preferences"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/consent-texts/{jurisdiction}/{consent_type}"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/retention-schedule"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/ledger/checkpoint"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/ledger/checkpoint.jws"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/ledger/tile/{level}/{tile_number}"),
    _open(_CONSENT, RateClass.PUBLIC, "GET", "/api/v1/privacy/ledger/anchors/{digest}"),
    Route("POST", "/api/v1/photos/upload", _STORAGE, Access.BEARER, RateClass.UPLOAD),
    # An upload that goes on after a break (tus) may bring bytes with the request that begins it.
    _open(_STORAGE, RateClass.PUBLIC, "OPTIONS", "/api/v1/photos/uploads"),
    _photo("POST", "/api/v1/photos/uploads", Access.BEARER, RateClass.UPLOAD),
    _link("HEAD", "/api/v1/photos/uploads/{photo_id}"),
    _link("PATCH", "/api/v1/photos/uploads/{photo_id}"),
    _link("DELETE", "/api/v1/photos/uploads/{photo_id}"),
    _link("PUT", "/api/v1/photos/{photo_id}/content"),
    _link("GET", "/api/v1/photos/{photo_id}/content"),
    _link("HEAD", "/api/v1/photos/{photo_id}/content"),
    _link("GET", "/api/v1/photos/{photo_id}/thumbnail"),
    _link("HEAD", "/api/v1/photos/{photo_id}/thumbnail"),
    _bearer(_STORAGE, "POST", "/api/v1/photos/{photo_id}/confirm"),
    _bearer(_STORAGE, "GET", "/api/v1/photos"),
    _bearer(_STORAGE, "GET", "/api/v1/photos/usage"),
    _bearer(_STORAGE, "GET", "/api/v1/photos/{photo_id}/reads"),
    _bearer(_STORAGE, "GET", "/api/v1/photos/{photo_id}"),
    _bearer(_STORAGE, "DELETE", "/api/v1/photos/{photo_id}"),
    _bearer(_STORAGE, "POST", "/api/v1/privacy/data-export"),
    _bearer(_STORAGE, "GET", "/api/v1/privacy/data-export/status"),
    _link("GET", "/api/v1/privacy/data-export/{export_id}/archive"),
)


def with_photos_of(size: int, routes: Iterable[Route] = ROUTES) -> tuple[Route, ...]:
    """Return the routes with room for photos of so many bytes where photos are sent."""
    return tuple(
        replace(route, body_limit=size) if route.transfers and route.method in SENDS_PHOTOS else route
        for route in routes
    )


class RoutingTable:
    """Finds the route of a request; a literal path wins over one with parameters."""

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self._literal: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            methods = self._methods_of(route.path)
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} stands twice in the routing table")
            methods[route.method] = route

    def _methods_of(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._literal.setdefault(path, {})
        parts = re.split(r"(\{[a-z_]+\})", path)
        expression = "".join(
            _PARAMETERS.get(part, _PARAMETER) if part.startswith("{") else re.escape(part) for part in parts
        )
        return self._patterns.setdefault(path, (re.compile(expression), {}))[1]

    def find(self, method: str, raw_path: str) -> Route:
        """Return the route at undecoded `raw_path`; raises NotFound, MethodNotAllowed or Moved."""
        methods = self._methods_at(raw_path)
        if methods is None:
            if raw_path.endswith("/") and self._methods_at(raw_path[:-1]) is not None:
                raise Moved(raw_path[:-1])
            raise NotFound
        route = methods.get(method)
        if route is None:
            raise MethodNotAllowed(methods)
        return route

    def _methods_at(self, raw_path: str) -> dict[str, Route] | None:
        return self._literal.get(raw_path) or next(
            (found for pattern, found in self._patterns.values() if pattern.fullmatch(raw_path)), None
        )
