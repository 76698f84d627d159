"""Calls between services carry a short-lived token signed for one audience; no network is trusted."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jwt import PyJWK
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.auth import ALGORITHM, MALFORMED, VerifiedTokens, read_claims, read_header
from chassis.clock import Clock, SystemClock
from chassis.ids import new_id
from chassis.problems import Forbidden, Unauthorized
from chassis.settings import ServiceSettings

SERVICE_TOKEN_TYPE = "svc+jwt"  # noqa: S105 - a media type
LIFETIME = timedelta(seconds=60)
REUSE = timedelta(seconds=30)
MOST_REMEMBERED = 256
"""Tokens that need not be verified again until they expire; a caller uses one for half a minute."""


class ServiceTokens:
    """Issues this service's tokens and verifies those that other services signed for it."""

    def __init__(
        self,
        service: str,
        *,
        private_key: str,
        public_keys: dict[str, dict[str, Any]],
        clock: Clock | None = None,
    ) -> None:
        self._service = service
        self._private_key = private_key
        self._public_keys = {name: PyJWK(jwk, algorithm=ALGORITHM) for name, jwk in public_keys.items()}
        self._clock: Clock = clock or SystemClock()
        self._issued: dict[str, tuple[datetime, str]] = {}
        self._verified: VerifiedTokens[str] = VerifiedTokens(MOST_REMEMBERED)

    @classmethod
    def of(cls, service: str, settings: ServiceSettings) -> "ServiceTokens":
        """Return the tokens of `service` with the keys of its settings."""
        return cls(
            service,
            private_key=settings.service_key.get_secret_value(),
            public_keys=settings.service_public_keys,
        )

    def issue(self, audience: str) -> str:
        """Return a token that lets this service call `audience` for half a minute, or for a whole one."""
        now = self._clock.now()
        made_at, token = self._issued.get(audience, (datetime.min.replace(tzinfo=UTC), ""))
        # The same again, so that whoever verifies it has seen it before; a signature costs more than a call.
        if not made_at <= now < made_at + REUSE:
            token = self._sign(audience, now)
            self._issued[audience] = now, token
        return token

    def _sign(self, audience: str, now: datetime) -> str:
        claims = {
            "iss": self._service,
            "aud": audience,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": str(new_id()),
        }
        headers = {"typ": SERVICE_TOKEN_TYPE, "kid": self._service}
        return jwt.encode(claims, self._private_key, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> str:
        """Return the name of the service that calls; raises `Unauthorized`."""
        caller = self._verified.find(token)
        if caller is None:
            caller, until = self._read(token)
            self._verified.keep(token, caller, until=until)
        return caller

    def _read(self, token: str) -> tuple[str, float]:
        try:
            caller = str(read_header(token, token_type=SERVICE_TOKEN_TYPE)["kid"])
            claims = read_claims(
                token,
                self._public_keys[caller],
                audience=self._service,
                issuer=caller,
                required=("iss", "aud", "iat", "exp", "jti"),
            )
            # Stolen, a token is of use for as long as it says; nobody is believed for longer than a minute.
            if not 0 < claims["exp"] - claims["iat"] <= LIFETIME.total_seconds():
                raise ValueError("lives longer than a service token")
        except MALFORMED:
            raise Unauthorized("This operation is for services of the platform.") from None
        return caller, float(claims["exp"])


_bearer = HTTPBearer(auto_error=False, scheme_name="service", bearerFormat="JWT")


def require_service(*callers: str) -> Callable[..., Awaitable[str]]:
    """Return a dependency that admits only `callers`; the verifier is `app.state.service_tokens`."""

    async def admitted(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> str:
        if credentials is None:
            raise Unauthorized("This operation is for services of the platform.")
        tokens: ServiceTokens = request.app.state.service_tokens
        caller = tokens.verify(credentials.credentials)
        if caller not in callers:
            raise Forbidden
        return caller

    return admitted


GATEWAY = "gateway"
GATEWAY_TOKEN_HEADER = "X-Service-Token"  # noqa: S105 - a header's name
_OPEN_PATHS = frozenset({"/health", "/openapi.json", "/.well-known/jwks.json"})
_OPEN_FOLDERS = ("/health/", "/internal/")


class OnlyThroughGateway:
    """Middleware of a service: whoever is not the gateway gets no answer from a public route.

    Sessions end, limits count and addresses are believed at the gateway, so its service token is asked for
    beside the person's. Without it stay: health, what services ask each other (each of those routes names its
    callers), public keys and the description of the API. The verifier is `app.state.service_tokens`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; raises `Unauthorized` or `Forbidden`."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            _require_gateway(scope)
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


def _require_gateway(scope: Scope) -> None:
    proof = Headers(scope=scope).get(GATEWAY_TOKEN_HEADER)
    tokens: ServiceTokens | None = getattr(scope["app"].state, "service_tokens", None)
    if proof is None or tokens is None:
        raise Unauthorized("This service answers through the gateway only.")
    if tokens.verify(proof) != GATEWAY:
        raise Forbidden


def client_address(request: Request) -> str | None:
    """Return the address of the person's device: the gateway's word, without it the peer's.

    Only for public routes: nobody but the gateway reaches them.
    """
    forwarded = request.headers.get("X-Forwarded-For")
    return forwarded.strip() if forwarded else request.client.host if request.client else None
