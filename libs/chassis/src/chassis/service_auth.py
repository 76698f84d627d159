"""Calls between services carry a short-lived token signed for one audience; no network is trusted."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jwt import PyJWK

from chassis.auth import ALGORITHM, MALFORMED, read_claims, read_header
from chassis.clock import Clock, SystemClock
from chassis.ids import new_id
from chassis.problems import Forbidden, Unauthorized
from chassis.settings import ServiceSettings

SERVICE_TOKEN_TYPE = "svc+jwt"  # noqa: S105 - a media type
LIFETIME = timedelta(seconds=60)


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

    @classmethod
    def of(cls, service: str, settings: ServiceSettings) -> "ServiceTokens":
        """Return the tokens of `service` with the keys of its settings."""
        return cls(
            service,
            private_key=settings.service_key.get_secret_value(),
            public_keys=settings.service_public_keys,
        )

    def issue(self, audience: str) -> str:
        """Return a token that lets this service call `audience` for a minute."""
        now = self._clock.now()
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
        try:
            caller = str(read_header(token, token_type=SERVICE_TOKEN_TYPE)["kid"])
            read_claims(
                token,
                self._public_keys[caller],
                audience=self._service,
                issuer=caller,
                required=("iss", "aud", "iat", "exp", "jti"),
            )
        except MALFORMED:
            raise Unauthorized("This operation is for services of the platform.") from None
        return caller


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


FORWARDER_TOKEN_HEADER = "X-Service-Token"  # noqa: S105 - a header's name


def client_address(request: Request) -> str | None:
    """Return the address of the person's device.

    `X-Forwarded-For` is believed only from the gateway, which proves itself with a service token of its own
    beside the person's; anybody else is taken for the client.
    """
    forwarded = request.headers.get("X-Forwarded-For")
    proof = request.headers.get(FORWARDER_TOKEN_HEADER)
    if forwarded and proof:
        tokens: ServiceTokens = request.app.state.service_tokens
        try:
            if tokens.verify(proof) == "gateway":
                return forwarded.strip()
        except Unauthorized:
            return request.client.host if request.client else None
    return request.client.host if request.client else None
