"""Calls between services carry a short-lived token signed for one audience; no network is trusted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt import PyJWK

from chassis.auth import ALGORITHM, MALFORMED, VerifiedTokens, read_claims, read_header
from chassis.clock import Clock, SystemClock
from chassis.ids import new_id
from chassis.problems import Unauthorized
from chassis.settings import ServiceSettings

GATEWAY = "gateway"
GATEWAY_TOKEN_HEADER = "X-Service-Token"  # noqa: S105 - a header's name
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
