"""Ended sessions over RabbitMQ: faster than the feed, and never needed."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.broker import EventPublisher, OutgoingMessage
from chassis.ids import new_id
from chassis.testing import eventually
from cluster.testing import RunningServers
from contracts.envelope import wrap
from contracts.fields import RevocationReason
from contracts.identity import SessionRevoked

PHOTOS = "/api/v1/photos"


async def status_of(stage: Any, path: str, headers: dict[str, str] | None = None) -> int:
    async with stage.client.get(path, headers=headers) as answer:
        return int(answer.status)


async def publish(url: str, user: UUID, session: UUID | None, *, body: bytes | None = None) -> None:
    event = SessionRevoked(user_id=user, session_id=session, reason=RevocationReason.LOGOUT)
    envelope = wrap(event, event_id=new_id(), time=datetime.now(UTC))
    publisher = EventPublisher(url)
    publisher.connect()

    async def connected() -> None:
        assert await publisher.is_connected()

    await eventually(connected)
    await publisher.publish(
        OutgoingMessage(
            event_id=envelope.id,
            type=event.type,
            producer="identity",
            body=body or envelope.to_json(),
            time=envelope.time,
            traceparent=None,
            mandatory=True,
        )
    )
    await publisher.close()


def as_identity(servers: RunningServers, broker_url: str) -> str:
    return servers.broker_url("identity", broker_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1])


async def test_event_alone_ends_a_session(open_stage: Any, servers: RunningServers, broker_url: str) -> None:
    async with open_stage(broker_url=broker_url) as stage:
        user, session = new_id(), new_id()
        headers = stage.mint.bearer(user, session)
        assert await status_of(stage, PHOTOS, headers) == 200
        await publish(as_identity(servers, broker_url), user, session)

        async def refused() -> None:
            assert await status_of(stage, PHOTOS, headers) == 401

        await eventually(refused, seconds=2)
        assert await status_of(stage, PHOTOS, stage.mint.bearer(user)) == 200


async def test_unreadable_event_goes_to_the_dead_letters_and_stops_nothing(
    open_stage: Any, servers: RunningServers, broker_url: str
) -> None:
    async with open_stage(broker_url=broker_url) as stage:
        identity = as_identity(servers, broker_url)
        await publish(identity, new_id(), None, body=b"{ this is no event")
        user = new_id()
        headers = stage.mint.bearer(user)
        await publish(identity, user, None)

        async def refused() -> None:
            assert await status_of(stage, PHOTOS, headers) == 401

        await eventually(refused, seconds=5)


async def test_lost_broker_is_reported_and_otherwise_not_missed(
    open_stage: Any, servers: RunningServers, broker_url: str, cable: Any
) -> None:
    link, near = cable(broker_url)
    await link.plug_in()
    async with open_stage(broker_url=near, redis_url=servers.redis_url) as stage:

        async def broker_is(status: int) -> None:
            assert await status_of(stage, "/health/broker") == status

        await eventually(lambda: broker_is(200))
        await link.pull()
        await eventually(lambda: broker_is(503))
        async with stage.client.get("/health/readiness") as answer:
            assert answer.status == 200
            parts = await answer.json()
            assert (parts["status"], parts["broker"], parts["db"]) == ("ready", "failing", "ok")
        user, session = new_id(), new_id()
        await stage.identity.revoke(session)

        async def refused() -> None:
            assert await status_of(stage, PHOTOS, stage.mint.bearer(user, session)) == 401

        await eventually(refused, seconds=1)
        await link.plug_in()
        await eventually(lambda: broker_is(200), seconds=20)
        user = new_id()
        headers = stage.mint.bearer(user)
        await publish(as_identity(servers, broker_url), user, None)

        async def refused_again() -> None:
            assert await status_of(stage, PHOTOS, headers) == 401

        await eventually(refused_again)
