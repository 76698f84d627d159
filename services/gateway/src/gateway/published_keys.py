"""One JWKS of everything that the platform signs: access tokens, certificates, receipts and checkpoints.

Services and this gateway take the keys of access tokens from identity alone, so that nothing else that is
published here can ever be the key of one.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from chassis.auth import JWKS_MAX_AGE_SECONDS
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.problems import ServiceUnavailable
from gateway.admission_control import AdmissionControl

PATH = "/.well-known/jwks.json"
INCOMPLETE_SECONDS = 5
"""How long an answer may be kept in which the keys of a service may be older than its newest."""


class PublishedKeys:
    """The public keys of the services that sign; those of one that is away are the last that it gave."""

    def __init__(self, sources: dict[ServiceClient, str]) -> None:
        """Take the path of each service's JWKS; without the first service nothing is said."""
        self._sources = sources
        self._known: dict[ServiceClient, list[dict[str, Any]]] = {}

    async def collect(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the keys that are known, and whether every service has answered just now.

        Raises `ServiceUnavailable` while the first one has never answered.
        """
        asked = await asyncio.gather(*(self._ask(client, path) for client, path in self._sources.items()))
        if next(iter(self._sources)) not in self._known:
            raise ServiceUnavailable
        return [key for client in self._sources for key in self._known.get(client, ())], all(asked)

    async def _ask(self, client: ServiceClient, path: str) -> bool:
        try:
            document = await client.get(path)
        except (NeighbourUnavailable, NeighbourRefused):
            return False
        keys = document.get("keys")
        if not isinstance(keys, list):
            return False
        self._known[client] = keys
        return True


def published_keys_route(keys: PublishedKeys, admission: AdmissionControl) -> APIRouter:
    """Return the route that publishes them; identity describes it."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    async def jwks(request: Request) -> JSONResponse:
        """Publish every key (RFC 7517 §5); they may be kept for five minutes."""
        await admission.count_public(request.scope)
        found, complete = await keys.collect()
        seconds = int(JWKS_MAX_AGE_SECONDS) if complete else INCOMPLETE_SECONDS
        return JSONResponse({"keys": found}, headers={"Cache-Control": f"public, max-age={seconds}"})

    return router
