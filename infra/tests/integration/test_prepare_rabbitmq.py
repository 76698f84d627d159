"""What the bootstrap job leaves in RabbitMQ."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aio_pika
import aiohttp
import pytest
from aiormq.exceptions import ChannelAccessRefused, ProbableAuthenticationError

from cluster.bootstrap import prepare_rabbitmq
from contracts import topology
from support.eventually import eventually
from support.isolation import in_new_loop
from support.servers import RunningServers

OpenChannel = Callable[[str], Awaitable[aio_pika.abc.AbstractChannel]]

EVENT = aio_pika.Message(b"{}")


@pytest.fixture(scope="module")
def vhost(servers: RunningServers) -> str:
    """Return one vhost for all of these tests, because its queues take seconds to declare."""
    name = "prepared"
    in_new_loop(prepare(servers, name))
    return name


async def prepare(servers: RunningServers, vhost: str, **passwords: str) -> None:
    changed = servers.broker_passwords | passwords
    await prepare_rabbitmq(servers.management_url, servers.rabbitmq_admin, changed, vhost=vhost)


async def ask(servers: RunningServers, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": aiohttp.encode_basic_auth(*servers.rabbitmq_admin)}
    async with (
        aiohttp.ClientSession(headers=headers, raise_for_status=True) as session,
        session.request(method, f"{servers.management_url}/api/{path}", json=body) as response,
    ):
        return await response.json() if method == "GET" else None


@pytest.fixture
async def open_channel(servers: RunningServers, vhost: str) -> AsyncIterator[OpenChannel]:
    opened = []

    async def of_service(service: str) -> aio_pika.abc.AbstractChannel:
        connection = await aio_pika.connect(servers.broker_url(service, vhost))
        opened.append(connection)
        return await connection.channel(publisher_confirms=True, on_return_raises=True)

    yield of_service
    for connection in opened:
        await connection.close()


async def test_every_queue_has_its_limits_and_its_dead_letters(servers: RunningServers, vhost: str) -> None:
    async def described() -> None:
        queues = {queue["name"]: queue for queue in await ask(servers, "GET", f"queues/{vhost}")}
        assert queues.keys() == {queue.name for queue in topology.queues()}
        for subscription in topology.SUBSCRIPTIONS:
            dead = topology.dead_letter_queue(subscription.queue)
            assert queues[subscription.queue].get("policy") == subscription.queue
            assert queues[subscription.queue].get("type") == "quorum"
            assert queues[dead].get("policy") == "dead-letters"
        assert queues["storage.later"].get("policy") == "later"

    # The management API learns about a queue with its next statistics.
    await eventually(described, seconds=20)


async def test_published_event_reaches_exactly_its_queues(open_channel: OpenChannel) -> None:
    channel = await open_channel("identity")
    exchange = await channel.get_exchange(topology.EXCHANGE, ensure=False)

    await exchange.publish(EVENT, "identity.user.deleted.v1", mandatory=True)

    for service in topology.erasure_participants():
        reader = await open_channel(service)
        queue = await reader.get_queue(f"{service}.erase-user", ensure=False)
        message = await queue.get(no_ack=True)
        assert message is not None
        assert message.body == EVENT.body


async def test_rejected_message_waits_among_the_dead_letters(open_channel: OpenChannel) -> None:
    publisher = await open_channel("identity")
    exchange = await publisher.get_exchange(topology.EXCHANGE, ensure=False)
    await exchange.publish(EVENT, "identity.user.registered.v1", mandatory=True)
    reader = await open_channel("storage")
    queue = await reader.get_queue("storage.open-keys", ensure=False)
    dead = await reader.get_queue("storage.open-keys.dead", ensure=False)

    message = await queue.get()
    await message.reject(requeue=False)

    async with dead.iterator(no_ack=True, timeout=20) as arrived:
        async for letter in arrived:
            assert letter.body == EVENT.body
            break


@pytest.mark.parametrize(
    ("service", "routing_key"),
    [
        ("storage", "identity.user.deleted.v1"),
        ("consent", "identity.session.revoked.v1"),
        ("identity", "consent.consent.granted.v1"),
        ("consent", "gateway.anything.happened.v1"),
    ],
)
async def test_service_cannot_speak_for_another(
    service: str, routing_key: str, open_channel: OpenChannel
) -> None:
    channel = await open_channel(service)
    exchange = await channel.get_exchange(topology.EXCHANGE, ensure=False)

    with pytest.raises(ChannelAccessRefused):
        await exchange.publish(EVENT, routing_key, mandatory=False)


async def test_service_can_put_off_only_what_is_its_own(open_channel: OpenChannel) -> None:
    channel = await open_channel("storage")
    exchange = await channel.get_exchange(topology.LATER_EXCHANGE, ensure=False)
    await exchange.publish(EVENT, "storage.open-keys", mandatory=True)

    with pytest.raises(ChannelAccessRefused):
        await exchange.publish(EVENT, "identity.erase-user", mandatory=False)


@pytest.mark.parametrize("service", topology.SERVICES)
async def test_service_can_declare_neither_queues_nor_exchanges(
    service: str, open_channel: OpenChannel
) -> None:
    for declare in ("declare_queue", "declare_exchange"):
        channel = await open_channel(service)
        with pytest.raises(ChannelAccessRefused):
            await getattr(channel, declare)(f"{service}.of-its-own")


async def test_service_cannot_read_the_queue_of_another(open_channel: OpenChannel) -> None:
    channel = await open_channel("consent")
    queue = await channel.get_queue("storage.erase-user", ensure=False)

    with pytest.raises(ChannelAccessRefused):
        await queue.get()


async def test_second_bootstrap_keeps_messages_and_removes_what_is_no_longer_wanted(
    servers: RunningServers, vhost: str, open_channel: OpenChannel
) -> None:
    channel = await open_channel("identity")
    exchange = await channel.get_exchange(topology.EXCHANGE, ensure=False)
    await exchange.publish(EVENT, "identity.user.registered.v1", mandatory=True)
    stale = f"bindings/{vhost}/e/{topology.EXCHANGE}/q/storage.open-keys"
    await ask(servers, "POST", stale, {"routing_key": "identity.user.verified.v1"})
    policy = {"pattern": "^nothing$", "definition": {"max-length": 1}, "apply-to": "queues"}
    await ask(servers, "PUT", f"policies/{vhost}/stale", policy)
    retired = [
        name for queue in topology.RETIRED_QUEUES for name in (queue, topology.dead_letter_queue(queue))
    ]
    for name in retired:
        await ask(servers, "PUT", f"queues/{vhost}/{name}", {"durable": True})
    for user in topology.RETIRED_USERS:
        await ask(servers, "PUT", f"users/{user}", {"password": "forgotten", "tags": ""})

    await prepare(servers, vhost)

    keys = {binding["routing_key"] for binding in await ask(servers, "GET", stale)}
    names = {policy["name"] for policy in await ask(servers, "GET", f"policies/{vhost}")}
    reader = await open_channel("storage")
    queue = await reader.get_queue("storage.open-keys", ensure=False)
    message = await queue.get(no_ack=True)
    assert keys == {"identity.user.registered.v1"}
    assert names == {policy.name for policy in topology.policies()}
    assert message is not None
    queues = {queue["name"] for queue in await ask(servers, "GET", f"queues/{vhost}")}
    users = {user["name"] for user in await ask(servers, "GET", "users")}
    assert not queues & set(retired)
    assert not users & set(topology.RETIRED_USERS)


async def test_new_password_is_taken_over(
    servers: RunningServers, vhost: str, open_channel: OpenChannel
) -> None:
    try:
        await prepare(servers, vhost, consent="changed")
        with pytest.raises(ProbableAuthenticationError):
            await open_channel("consent")
    finally:
        await prepare(servers, vhost)
