"""The public keys of access tokens."""

from typing import Any

from fastapi import APIRouter

from identity.api.dependencies import CurrentService

router = APIRouter(tags=["identity"])


@router.get("/.well-known/jwks.json")
async def jwks(service: CurrentService) -> dict[str, Any]:
    """Publish the keys that verify access tokens."""
    return service.tokens.jwks(service.clock.now())
