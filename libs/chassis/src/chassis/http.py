"""Questions to other services: with a deadline, a service token and errors that say what to do next."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from chassis import context
from chassis.faults import TransientFault
from chassis.service_auth import ServiceTokens
from chassis.transactions import outside_transactions

CONNECT_SECONDS = 0.5
TOTAL_SECONDS = 5.0
_OK, _NO_CONTENT = 200, 204
_PIECE_BYTES = 8192


class NeighbourUnavailable(TransientFault):
    """The other service did not answer, or answered that it can't now."""


class NeighbourRefused(Exception):
    """The other service understood the question and refused it; `status` says how."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with status {status}")
        self.status = status


async def read_at_most(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """Return the body of an answer; None for one that has more than `most_bytes`, which is not read on."""
    body = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > most_bytes:
            return None
    return bytes(body)


class ServiceClient:
    """Asks one other service; open it once per process with `async with`."""

    def __init__(self, base_url: str, *, audience: str, tokens: ServiceTokens | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._audience = audience
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self, path: str, *, params: dict[str, str] | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Return the JSON object at `path`.

        `seconds` replaces the usual deadline of five. Raises `NeighbourUnavailable` when there is no answer
        or a 5xx or 429 one, `NeighbourRefused` for every other status that isn't 200.
        """
        async with self._asked("GET", path, expected=_OK, params=params, seconds=seconds) as answer:
            try:
                document = await answer.json()
            except (ValueError, RecursionError):
                # Not chained: the parser's error holds the whole answer.
                raise NeighbourUnavailable(f"{self._audience} answered something that is no JSON") from None
        if not isinstance(document, dict):
            raise NeighbourUnavailable(f"{self._audience} answered something that is no JSON object")
        return document

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Tell `body` as JSON to `path`, which answers 204; raises what `get` raises."""
        async with self._asked("POST", path, expected=_NO_CONTENT, body=body):
            return

    async def put(self, path: str, body: AsyncIterable[bytes], *, content_type: str, seconds: float) -> None:
        """Send a body to `path`, which answers 204, while it is made; raises what `get` raises.

        `seconds` is the deadline of all of it.
        """
        headers = {"Content-Type": content_type}
        async with self._asked(
            "PUT", path, expected=_NO_CONTENT, sent=body, seconds=seconds, headers=headers
        ):
            return

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        *,
        expected: int,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        sent: AsyncIterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("open the client with `async with` before use")
        outside_transactions(self._audience)
        try:
            async with self._session.request(
                method,
                self._base_url + path,
                params=params,
                json=body,
                data=sent,
                headers={**self._headers(), **(headers or {})},
                timeout=aiohttp.ClientTimeout(total=seconds or TOTAL_SECONDS, connect=CONNECT_SECONDS),
                allow_redirects=False,
            ) as answer:
                if answer.status >= 500 or answer.status == 429:  # noqa: PLR2004 - HTTP status classes
                    raise NeighbourUnavailable(f"{self._audience} answered {answer.status}")
                if answer.status != expected:
                    raise NeighbourRefused(answer.status)
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NeighbourUnavailable(f"{self._audience} did not answer: {type(error).__name__}") from error

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self._tokens is not None:
            headers["Authorization"] = f"Bearer {self._tokens.issue(self._audience)}"
        if request := context.request_id.get():
            headers["X-Request-ID"] = request
        if trace := context.traceparent.get():
            headers["traceparent"] = trace
        return headers
