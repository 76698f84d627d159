"""Erases a person who has an entry in the journal; run in the copy that has that service.

Writes what the preview of the erasure says before it and its status at its end, as JSON.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from uuid import UUID, uuid4

import aiohttp

from chassis.service_auth import GATEWAY_TOKEN_HEADER
from contracts.registry import COORDINATOR
from contracts.topology import SERVICES
from support import eventually
from support.api_process import api_process
from support.native import native_servers
from support.platform import Platform, prepared

ADA = {"email": "ada@example.org", "password": "correct horse battery staple"}


def main() -> None:
    with native_servers() as servers:
        platform = asyncio.run(prepared(servers))
        for service in SERVICES:
            platform.migrate(service)
        with workers(platform):
            sys.stdout.write(json.dumps(asyncio.run(erased(platform))))


@contextmanager
def workers(platform: Platform) -> Iterator[None]:
    """Run the worker of every service; a journal without one would leave the erasure open."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", service, "worker"],
            env={**os.environ, **platform.environment(service), f"{service.upper()}_LOG_LEVEL": "WARNING"},
            stdout=sys.stderr,
        )
        for service in SERVICES
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


async def erased(platform: Platform) -> dict[str, object]:
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            if service != COORDINATOR:
                # Where identity looks for it, as the registry has it.
                port = int(platform.servers.values[f"{service.upper()}_PORT"])
                await stack.enter_async_context(api_process(platform, service, port=port, silent=True))
        identity = await stack.enter_async_context(api_process(platform, COORDINATOR, silent=True))
        headers = {GATEWAY_TOKEN_HEADER: identity.proof()}
        async with aiohttp.ClientSession(f"{identity.url}/api/v1/", headers=headers) as client:
            return await follow(platform, client)


async def follow(platform: Platform, client: aiohttp.ClientSession) -> dict[str, object]:
    user_id = (await sent(client, "POST", "auth/register", json=ADA))["id"]
    bearer = (await sent(client, "POST", "auth/login/json", json=ADA))["access_token"]
    await write_entry(platform, UUID(str(user_id)))
    signed_in = {"Authorization": f"Bearer {bearer}"}
    preview = await sent(client, "GET", "users/me/erasure-preview", headers=signed_in)
    asked = {"json": {"confirm": True}, "headers": signed_in}
    receipt = await sent(client, "DELETE", "users/me", **asked)
    token = {"X-Erasure-Token": str(receipt["status_token"])}

    async def completed() -> dict[str, object]:
        status = await sent(client, "GET", f"privacy/erasures/{receipt['erasure_id']}", headers=token)
        assert status["status"] == "completed", status
        return status

    return {"preview": preview, "status": await eventually(completed, seconds=60)}


async def sent(client: aiohttp.ClientSession, method: str, path: str, **said: object) -> dict[str, object]:
    async with client.request(method, path, **said) as answer:
        assert answer.ok, await answer.text()
        found: dict[str, object] = await answer.json()
        return found


async def write_entry(platform: Platform, user_id: UUID) -> None:
    connection = await platform.connect_as_admin()
    try:
        await connection.execute(
            "INSERT INTO journal.entries VALUES ($1, $2, $3, now())", uuid4(), user_id, "Dear diary"
        )
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
