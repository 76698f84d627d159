"""One JWKS of everything that the platform signs: access tokens, certificates, receipts and checkpoints.

Services and this gateway take the keys of access tokens from identity alone, so that nothing else that is
published here can ever be the key of one.
"""

import asyncio
from collections.abc import Sequence
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


Source = tuple[ServiceClient, str]
"""A service, and the path of a JWKS there."""


class PublishedKeys:
    """The public keys of the services that sign; those of one that is away are the last that it gave."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Take where there is a JWKS; without the first one nothing is said."""
        self._sources = sources
        self._known: dict[Source, list[dict[str, Any]]] = {}

    async def collect(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the keys that are known, each once, and whether every service has answered just now.

        Raises `ServiceUnavailable` while the first one has never answered.
        """
        asked = await asyncio.gather(*map(self._ask, self._sources))
        if self._sources[0] not in self._known:
            raise ServiceUnavailable
        known = [key for source in self._sources for key in self._known.get(source, ())]
        # One that signs access tokens has mostly signed certificates too.
        return list({key.get("kid", number): key for number, key in enumerate(known)}.values()), all(asked)

    async def _ask(self, source: Source) -> bool:
        client, path = source
        try:
            document = await client.get(path)
        except (NeighbourUnavailable, NeighbourRefused):
            return False
        keys = document.get("keys")
        if not isinstance(keys, list):
            return False
        self._known[source] = keys
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
