"""A provider's public keys, kept as long as it allows and asked for again at a bounded rate."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from chassis.problems import ServiceUnavailable
from identity.providers.remote import ProviderClient, ProviderUnavailable

SHORTEST_SECONDS, USUAL_SECONDS, LONGEST_SECONDS = 60, 300, 86_400
COOLDOWN_SECONDS = 10.0
"""Pause between two fetches, whoever asks: made-up key names must not make us ask the provider each time."""
STALE_SECONDS = 86_400
"""How long known keys go on serving while the provider can't be asked."""
MOST_KEYS = 50
SMALLEST_RSA_BITS = 2048

log = structlog.get_logger(__name__)


class ProviderKeys:
    """The keys of one provider by `kid`; each is good for exactly one algorithm (RFC 8725 §3.1)."""

    def __init__(
        self, client: ProviderClient, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._url = url
        self._monotonic = monotonic
        self._keys: dict[str, PyJWK] = {}
        self._fresh_until = float("-inf")
        self._ask_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK | None:
        """Return the key named `kid`; raises `ServiceUnavailable` when no keys can be had."""
        known = self._keys.get(kid)
        # While somebody asks for new keys, the old ones serve: a slow provider holds up one sign-in, not all.
        if known is not None and (self._monotonic() < self._fresh_until or self._lock.locked()):
            return known
        async with self._lock:
            now = self._monotonic()
            if (now >= self._fresh_until or kid not in self._keys) and now >= self._ask_at:
                await self._refresh()
            if self._monotonic() >= self._fresh_until + STALE_SECONDS:
                self._keys = {}
        if not self._keys:
            raise ServiceUnavailable
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        try:
            self._keys, seconds = await self._fetch()
            self._fresh_until = self._monotonic() + min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
        except ProviderUnavailable as error:
            log.warning("provider_keys_not_fetched", error=str(error))
        self._ask_at = self._monotonic() + COOLDOWN_SECONDS

    async def _fetch(self) -> tuple[dict[str, PyJWK], int]:
        answer = await self._client.get(self._url)
        keys = _usable(answer.document) if answer.status == 200 else {}  # noqa: PLR2004 - HTTP OK
        if not keys:
            raise ProviderUnavailable("no usable key")
        return keys, USUAL_SECONDS if answer.max_age is None else answer.max_age


def _usable(document: dict[str, Any]) -> dict[str, PyJWK]:
    entries = document.get("keys")
    usable: dict[str, PyJWK] = {}
    for entry in entries[:MOST_KEYS] if isinstance(entries, list) else []:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        # Of two keys with one name the first counts, so that a name means one key.
        if isinstance(kid, str) and kid not in usable and (key := _key_of(entry)) is not None:
            usable[kid] = key
    return usable


def _key_of(entry: dict[str, Any]) -> PyJWK | None:
    algorithm = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}.get(
        (str(entry.get("kty")), entry.get("crv"))
    )
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(entry, algorithm=algorithm)
    except (PyJWTError, ValueError, KeyError, TypeError):
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < SMALLEST_RSA_BITS:
        return None
    return key
