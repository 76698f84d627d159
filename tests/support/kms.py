"""AWS KMS as moto's server speaks it: the protocol and the cryptography, in a process of its own."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aioboto3
import aiohttp

from support.eventually import eventually
from support.free_ports import free_port

START_SECONDS = 30.0
STOP_SECONDS = 10.0
REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "testing-of-irisvue-1", "testing-of-irisvue-2"


@dataclass(frozen=True)
class KmsServer:
    """A running server; `url` has no slash at its end."""

    url: str

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call KMS as an administrator does."""
        async with aioboto3.Session().client(
            "kms",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        ) as client:
            return dict(await getattr(client, operation)(**parameters))

    async def create_key(self) -> str:
        """Make a symmetric key and return its ARN."""
        made = await self.call("create_key")
        return str(made["KeyMetadata"]["Arn"])


@contextlib.contextmanager
def kms_server() -> Iterator[KmsServer]:
    """Run the server for the length of the block."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = KmsServer(f"http://127.0.0.1:{port}")
    try:
        with asyncio.Runner() as runner:
            runner.run(_until_it_answers(process, server.url))
        yield server
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


async def _until_it_answers(process: "subprocess.Popen[bytes]", url: str) -> None:
    async def ask() -> None:
        if process.poll() is not None:
            raise RuntimeError(f"moto's server ended with {process.returncode}")
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{url}/moto-api/data.json") as answer:
                assert answer.ok
        except aiohttp.ClientError as error:
            raise AssertionError("it does not answer yet") from error

    await eventually(ask, seconds=START_SECONDS)
