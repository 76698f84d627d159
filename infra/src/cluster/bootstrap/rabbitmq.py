"""Replays contracts.topology on a broker through its management API; harmless when repeated."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from cluster.errors import ClusterError
from contracts import topology

CALL_SECONDS = 20
NOT_FOUND = 404


async def prepare_rabbitmq(
    management_url: str,
    admin: tuple[str, str],
    passwords: Mapping[str, str],
    *,
    vhost: str = topology.VHOST,
) -> None:
    """Create what is missing, set passwords and rights anew and remove what is no longer wanted.

    `management_url` is `http://host:port`; `passwords` maps each service to the password of its broker user.
    A queue that exists with other arguments is a ClusterError: only an operator may delete messages.
    """
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    headers = {"Authorization": aiohttp.encode_basic_auth(*admin)}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        broker = _Management(session, f"{management_url}/api")
        await broker.put(["vhosts", vhost], {})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await broker.put(["permissions", vhost, admin[0]], everything)
        await asyncio.gather(
            *(_prepare_user(broker, vhost, service, passwords[service]) for service in topology.SERVICES),
            # Policies come before queues, so that no queue lives a moment without its limits.
            *(broker.put(["policies", vhost, each.name], _policy(each)) for each in topology.policies()),
            *(broker.put(["exchanges", vhost, each.name], _exchange(each)) for each in topology.exchanges()),
        )
        await asyncio.gather(
            *(broker.put(["queues", vhost, each.name], _queue(each)) for each in topology.queues())
        )
        await _prepare_bindings(broker, vhost, topology.bindings())
        await _remove_stale_policies(broker, vhost)
        for queue in topology.RETIRED_QUEUES:
            for name in (queue, topology.dead_letter_queue(queue)):
                await broker.delete(["queues", vhost, name])
        for user in topology.RETIRED_USERS:
            await broker.delete(["users", user])


async def _prepare_user(broker: "_Management", vhost: str, service: str, password: str) -> None:
    await broker.put(["users", service], {"password": password, "tags": ""})
    rights = topology.permissions(service)
    await broker.put(
        ["permissions", vhost, service],
        {"configure": rights.configure, "write": rights.write, "read": rights.read},
    )
    for topic in topology.topic_permissions(service):
        await broker.put(
            ["topic-permissions", vhost, service],
            {"exchange": topic.exchange, "write": topic.write, "read": topic.read},
        )


async def _prepare_bindings(broker: "_Management", vhost: str, wanted: Iterable[topology.Binding]) -> None:
    """Bind what is missing; a binding that is gone from the topology would feed a consumer unknown events."""
    names = {queue.name for queue in topology.queues()}
    present = {
        topology.Binding(entry["source"], entry["destination"], entry["routing_key"]): entry["properties_key"]
        for entry in await broker.get(["bindings", vhost])
        if entry["source"] and entry["destination"] in names and entry["destination_type"] == "queue"
    }
    planned = set(wanted)
    for binding in sorted(planned - present.keys(), key=str):
        path = ["bindings", vhost, "e", binding.exchange, "q", binding.queue]
        await broker.post(path, {"routing_key": binding.routing_key})
    for binding in sorted(present.keys() - planned, key=str):
        await broker.delete(["bindings", vhost, "e", binding.exchange, "q", binding.queue, present[binding]])


async def _remove_stale_policies(broker: "_Management", vhost: str) -> None:
    wanted = {policy.name for policy in topology.policies()}
    for entry in await broker.get(["policies", vhost]):
        if entry["name"] not in wanted:
            await broker.delete(["policies", vhost, entry["name"]])


def _exchange(exchange: topology.Exchange) -> dict[str, Any]:
    return {"type": exchange.kind, "durable": True, "auto_delete": False, "arguments": {}}


def _queue(queue: topology.Queue) -> dict[str, Any]:
    return {"durable": True, "auto_delete": False, "arguments": queue.arguments}


def _policy(policy: topology.Policy) -> dict[str, Any]:
    return {
        "pattern": policy.pattern,
        "definition": policy.definition,
        "apply-to": policy.apply_to,
        "priority": 0,
    }


class _Management:
    """The broker's management API; a refused call is a ClusterError with the broker's reason."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def get(self, path: list[str]) -> Any:
        return await self._call("GET", path)

    async def put(self, path: list[str], body: dict[str, Any]) -> None:
        await self._call("PUT", path, body)

    async def post(self, path: list[str], body: dict[str, Any]) -> None:
        await self._call("POST", path, body)

    async def delete(self, path: list[str]) -> None:
        await self._call("DELETE", path)

    async def _call(self, method: str, path: list[str], body: dict[str, Any] | None = None) -> Any:
        url = "/".join([self._base, *(quote(part, safe="") for part in path)])
        # The path is encoded already; yarl would decode the %2F of a vhost or a binding's key.
        async with self._session.request(method, URL(url, encoded=True), json=body) as response:
            if response.ok:
                return await response.json(content_type=None) if method == "GET" else None
            if method == "DELETE" and response.status == NOT_FOUND:
                return None
            reason = (await response.text())[:500]
        raise ClusterError(
            f"RabbitMQ refuses {method} {'/'.join(path)} with {response.status}: {reason}\n"
            "A queue whose arguments changed must be drained and deleted; `make reset` deletes everything."
        )
