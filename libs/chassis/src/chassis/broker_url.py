"""Addresses of RabbitMQ: several hosts of one cluster stand beside each other with commas."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiormq import TransportFactory
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from yarl import URL

TRY_SECONDS = 5.0
_SECURE = "amqps"


def split_hosts(url: str) -> tuple[str, ...]:
    """Return one address per host: `amqp://user:password@one:5672,two:5672/vhost` names two."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    account, at, hosts = authority.rpartition("@")
    return tuple(f"{scheme}{separator}{account}{at}{host}{slash}{path}" for host in hosts.split(","))


class HostsInTurn(TransportFactory):
    """Opens each connection to the next host: so one that is dead, or hangs up, is left behind."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._places = [(url.host, url.port) for url in map(URL, urls)]
        self._turn = 0
        secure = URL(urls[0]).scheme == _SECURE
        self._factory: TransportFactory = TLSTransportFactory() if secure else TCPTransportFactory()

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a stream to the next host; raises what the host's refusal, or its silence, raises."""
        host, port = self._places[self._turn % len(self._places)]
        self._turn += 1
        async with asyncio.timeout(TRY_SECONDS):
            return await self._factory.create(
                url.with_host(host or "").with_port(port or url.port), **options
            )
