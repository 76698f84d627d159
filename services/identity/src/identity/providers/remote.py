"""Calls to a provider: no redirects, little to read, and not for long."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from chassis.faults import TransientFault
from chassis.http import read_at_most

MOST_BYTES = 64 * 1024
CONNECTIONS = 20
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})")


class ProviderUnavailable(TransientFault):
    """The provider did not answer, or not with something that we can use."""


@dataclass(frozen=True)
class Answer:
    """What a provider answered: a JSON object, and for how many seconds it may be kept if it said so."""

    status: int
    document: dict[str, Any]
    max_age: int | None


class ProviderClient:
    """Speaks to providers; open it once per process with `async with`."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            connector=aiohttp.TCPConnector(limit_per_host=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What is not unpacked can't blow up; the limit below counts what is read.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str) -> Answer:
        """Return the answer of `url`; raises `ProviderUnavailable` for anything but a JSON object."""
        return await self._ask("GET", url, None)

    async def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """Send a form; an empty answer counts as an empty object, because revocations have no other."""
        return await self._ask("POST", url, form)

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> Answer:
        if self._session is None:
            raise RuntimeError("open the client with `async with` before use")
        try:
            async with self._session.request(method, url, data=form, allow_redirects=False) as answer:
                if answer.status >= 500 or answer.status == 429 or 300 <= answer.status < 400:  # noqa: PLR2004
                    raise ProviderUnavailable(f"the provider answered {answer.status}")
                body = await read_at_most(answer, MOST_BYTES)
                if body is None:
                    raise ProviderUnavailable("the provider's answer is too long")
                return Answer(answer.status, _json_object(body), _max_age(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"the provider did not answer: {type(error).__name__}") from error


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise ProviderUnavailable("the provider's answer is no JSON") from None
    if not isinstance(document, dict):
        raise ProviderUnavailable("the provider's answer is no JSON object")
    return document


def _max_age(answer: aiohttp.ClientResponse) -> int | None:
    control = answer.headers.get("Cache-Control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return 0
    found = _MAX_AGE.search(control)
    return int(found[1]) if found else None
