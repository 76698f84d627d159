"""Every message of every queue, dead letters too; each is put back."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from cluster.environment import ADMIN
from cluster.errors import ClusterError
from residue.canaries import Canaries
from residue.searched import Searched

ANSWER_SECONDS = 30
# More than any queue of a development cluster holds; a longer one is reported instead of half read.
MOST_MESSAGES = 20_000


async def search_queues(values: Mapping[str, str], canaries: Canaries) -> list[Searched]:
    """Search headers and bodies of every waiting message, of every virtual host."""
    places = []
    async with open_management(values) as http:
        async with http.get("/api/queues", raise_for_status=True) as answer:
            queues = sorted((entry["vhost"], entry["name"]) for entry in await answer.json())
        for vhost, queue in queues:
            place = Searched("queue", queue)
            for message in await _peek(http, vhost, queue):
                properties = str([message["properties"], message["routing_key"]]).encode()
                place.look_at(canaries, properties, base64.b64decode(message["payload"]))
            places.append(place)
    return places


def open_management(values: Mapping[str, str]) -> aiohttp.ClientSession:
    """Return the operator's client of RabbitMQ's management API; use it with `async with`."""
    login = aiohttp.encode_basic_auth(ADMIN, values["RABBITMQ_ADMIN_PASSWORD"])
    return aiohttp.ClientSession(
        f"http://127.0.0.1:{values['RABBITMQ_MANAGEMENT_PORT']}",
        headers={"Authorization": login},
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
    )


def queue_path(vhost: str, queue: str) -> URL:
    """Return the address of a queue in that API."""
    return URL(f"/api/queues/{quote(vhost, safe='')}/{quote(queue, safe='')}", encoded=True)


async def _peek(http: aiohttp.ClientSession, vhost: str, queue: str) -> list[dict[str, Any]]:
    request = {"count": MOST_MESSAGES, "ackmode": "ack_requeue_true", "encoding": "base64"}
    url = queue_path(vhost, queue) / "get"
    async with http.post(url, json=request, raise_for_status=True) as answer:
        messages: list[dict[str, Any]] = await answer.json()
    if len(messages) == MOST_MESSAGES:
        raise ClusterError(f"A queue holds {MOST_MESSAGES} messages or more, too many to look at.")
    return messages
