"""The public keys of access tokens."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.auth import JWKS_MAX_AGE_SECONDS
from chassis.openapi import example
from identity.api.dependencies import CurrentService

_PUBLISHED = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": "2026-11",
            "x": "AQID",
            "y": "BAUG",
        }
    ]
}

router = APIRouter(tags=["identity"])


@router.get(
    "/.well-known/jwks.json",
    summary="Publish the keys that verify access tokens",
    responses=example(_PUBLISHED),
)
async def jwks(service: CurrentService, response: Response) -> dict[str, Any]:
    """Publish the keys that verify access tokens; they may be kept for five minutes."""
    # A key is published for longer than that before it signs, so that nobody's copy is too old.
    response.headers["Cache-Control"] = f"public, max-age={int(JWKS_MAX_AGE_SECONDS)}"
    return service.tokens.jwks(service.clock.now())
