"""Connections to the services behind the door."""

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from chassis.service_auth import ServiceTokens
from gateway.routes import Upstream

CONNECT_SECONDS = 0.5
POOL_WAIT_SECONDS = 1.0
IDLE_SECONDS = 15.0
"""Shorter than the services keep idle connections, so that a request rarely meets a closing one."""
CONNECTIONS_PER_SERVICE = 256

# Headers that aiohttp would add by itself; the client's own words, or none, are passed on.
_NEVER_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class UpstreamGone(aiohttp.ClientError):
    """The connection ended before any answer; whether the service acted is unknown."""


class Upstreams:
    """One pool of connections; open it once per process with `async with`."""

    def __init__(self, urls: Mapping[Upstream, str], tokens: ServiceTokens) -> None:
        self.urls = {upstream: url.rstrip("/") for upstream, url in urls.items()}
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_PER_SERVICE * len(self.urls),
                limit_per_host=CONNECTIONS_PER_SERVICE,
                keepalive_timeout=IDLE_SECONDS,
            ),
            # Deadlines are the routes': only reaching the service is limited here.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=POOL_WAIT_SECONDS, sock_connect=CONNECT_SECONDS
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_without_silent_retries,),
        )
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        method: str,
        upstream: Upstream,
        target: str,
        *,
        headers: list[tuple[str, str]] | None = None,
        body: AsyncIterator[bytes] | bytes | None = None,
        expects: bool = False,
    ) -> ClientResponse:
        """Return the answer once its head has arrived; `target` is path and query as they were sent.

        With `expects` the body is begun only when the service asks for it (RFC 9110 §10.1.1).
        """
        return await self._opened.request(
            method,
            URL(self.urls[upstream] + target, encoded=True),
            headers=headers,
            data=body,
            expect100=expects,
            allow_redirects=False,
            skip_auto_headers=_NEVER_ADDED,
        )

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("open the connections with `async with` before use")
        return self._session

    async def status(self, url: str) -> int:
        """Return the status that `url` answers with; raises aiohttp.ClientError for none."""
        async with self._opened.get(url, allow_redirects=False) as answer:
            return answer.status

    def token_for(self, upstream: Upstream) -> str:
        """Return a token that proves to `upstream` that the gateway speaks."""
        return self._tokens.issue(upstream.value)


async def _without_silent_retries(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from repeating a request by itself: it would repeat DELETE and PUT too.

    It repeats after two kinds of errors only; another kind reaches the caller, who decides.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise UpstreamGone("the connection ended before an answer") from error
