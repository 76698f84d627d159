"""Reads what the platform publishes for everybody, as everybody reads it: at the gateway, without a token."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from chassis.http import read_at_most
from chassis.transactions import outside_transactions

DOCUMENTS = {
    "retention-schedule.json": "/api/v1/privacy/retention-schedule",
    "consent-log-checkpoint.txt": "/api/v1/privacy/ledger/checkpoint",
    "jwks.json": "/.well-known/jwks.json",
}
"""The names under which they are kept, and where they are read."""
SECONDS = 5.0
MOST_BYTES = 4 * 1024 * 1024
_OK = 200


@dataclass(frozen=True)
class Published:
    """What was read, by name, and why the rest was not."""

    files: Mapping[str, bytes]
    missing: Mapping[str, str]


async def read_published(base_url: str) -> Published:
    """Read every document below `base_url`; what can't be read is named with the reason."""
    outside_transactions("the gateway")
    files: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
        for name, path in DOCUMENTS.items():
            try:
                files[name] = await _read(http, base_url.rstrip("/") + path)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                missing[name] = str(error) if type(error) is ValueError else type(error).__name__
    return Published(files, missing)


async def _read(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url, allow_redirects=False) as answer:
        if answer.status != _OK:
            raise ValueError(f"answered {answer.status}")
        body = await read_at_most(answer, MOST_BYTES)
    if body is None:
        raise ValueError(f"has more than {MOST_BYTES} bytes")
    return body
