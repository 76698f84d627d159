"""Whoever reaches the object store without a key gets nothing, on whichever of its ports."""

import socket
import ssl
from collections.abc import Iterator

import aiohttp
import pytest

from native.s3 import GRPC_OFFSET
from support.servers import RunningServers

INSIDE = ("S3_MASTER_PORT", "S3_VOLUME_PORT", "S3_FILER_PORT")
ORDERS = (
    ("GET", "/"),
    ("GET", "/cluster/status"),
    ("GET", "/dir/assign"),
    ("GET", "/col/delete?collection=irisvue-photos"),
    ("GET", "/status"),
    ("GET", "/buckets/irisvue-photos/"),
    ("GET", "/ui/index.html"),
    ("GET", "/3,01637037d6"),
    ("DELETE", "/3,01637037d6"),
    ("DELETE", "/buckets/irisvue-photos?recursive=true"),
    ("PUT", "/buckets/irisvue-photos/mine"),
)
UNSIGNED = (("GET", ""), ("GET", "/key"), ("PUT", "/key"), ("DELETE", "/key"), ("POST", "?delete"))
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
ANSWER_SECONDS = 5


@pytest.fixture
def native(servers: RunningServers) -> RunningServers:
    if servers.maildir is None:
        pytest.skip("in a container these ports are the container's own; tests/e2e tries them from others")
    return servers


def ports_inside(servers: RunningServers) -> Iterator[int]:
    for name in INSIDE:
        yield int(servers.values[name])
        yield int(servers.values[name]) + GRPC_OFFSET
    yield int(servers.values["S3_PORT"]) + GRPC_OFFSET


@pytest.mark.parametrize("name", INSIDE)
async def test_no_port_behind_the_s3_api_obeys_plain_http(native: RunningServers, name: str) -> None:
    base = f"http://127.0.0.1:{native.values[name]}"
    async with aiohttp.ClientSession() as http:
        for method, path in ORDERS:
            try:
                async with http.request(method, base + path) as answer:
                    assert answer.status == 400, (method, path)
            except aiohttp.ServerDisconnectedError:
                continue


def test_no_port_behind_the_s3_api_speaks_without_tls(native: RunningServers) -> None:
    for port in ports_inside(native):
        with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
            connection.sendall(HTTP2_HELLO)
            received = _received(connection)
            # A gRPC server that listened to us would begin with a SETTINGS frame (RFC 9113, 3.4).
            assert received[3:4] != b"\4" or received[:5] == b"HTTP/", port


def test_no_port_behind_the_s3_api_speaks_to_strangers_over_tls(native: RunningServers) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    for port in ports_inside(native):
        assert _received_over_tls(port, context) == b"", port


async def test_s3_api_refuses_requests_that_nobody_signed(servers: RunningServers) -> None:
    async with aiohttp.ClientSession() as http:
        for method, path in (
            ("GET", ""),
            ("GET", "/key"),
            ("PUT", "/key"),
            ("DELETE", "/key"),
            ("POST", "?delete"),
        ):
            async with http.request(method, f"{servers.s3_endpoint}/irisvue-photos{path}") as answer:
                assert answer.status == 403, (method, path)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1024)
    except (ConnectionError, TimeoutError):
        return b""


def _received_over_tls(port: int, context: ssl.SSLContext) -> bytes:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection,
            context.wrap_socket(connection) as encrypted,
        ):
            # With TLS 1.3 a client learns only now that its certificate was missed.
            encrypted.sendall(HTTP2_HELLO)
            return encrypted.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return b""
