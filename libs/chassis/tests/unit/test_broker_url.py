"""Addresses of RabbitMQ with several hosts, and how they are tried."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
from aio_pika.exceptions import AMQPConnectionError
from yarl import URL

from chassis.broker_url import HostsInTurn, split_hosts


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("amqp://a:b@one:5672/v?heartbeat=10", ("amqp://a:b@one:5672/v?heartbeat=10",)),
        (
            "amqp://a:b%2C%40@one:5672,two/v?heartbeat=10",
            ("amqp://a:b%2C%40@one:5672/v?heartbeat=10", "amqp://a:b%2C%40@two/v?heartbeat=10"),
        ),
        (
            "amqps://a:b@one,two:5675/v?cafile=/run/a,b.pem",
            ("amqps://a:b@one/v?cafile=/run/a,b.pem", "amqps://a:b@two:5675/v?cafile=/run/a,b.pem"),
        ),
        ("amqp://127.0.0.1/", ("amqp://127.0.0.1/",)),
    ],
)
def test_each_host_has_an_address(url: str, urls: tuple[str, ...]) -> None:
    assert split_hosts(url) == urls


async def test_each_attempt_goes_to_the_next_host_and_a_dead_one_is_left_behind() -> None:
    greeted = []

    def greet(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            greeted.append(name)
            writer.close()

        return accept

    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for name in ("one", "two"):
            server = await asyncio.start_server(greet(name), "127.0.0.1", 0)
            await stack.enter_async_context(server)
            ports.append(server.sockets[0].getsockname()[1])
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            dead = unheard.getsockname()[1]
            hosts = HostsInTurn(
                split_hosts(f"amqp://a:b@127.0.0.1:{ports[0]},127.0.0.1:{dead},127.0.0.1:{ports[1]}/v")
            )
            for expected in ("one", None, "two", "one"):
                if expected is None:
                    with pytest.raises(AMQPConnectionError):
                        await hosts.create(URL("amqp://a:b@127.0.0.1/v"))
                    continue
                reader, writer = await hosts.create(URL("amqp://a:b@127.0.0.1/v"))
                assert await reader.read() == b""
                assert greeted[-1] == expected
                writer.close()
