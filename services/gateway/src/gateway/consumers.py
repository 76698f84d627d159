"""What the gateway hears from the broker: ended sessions; faster than the feed, and never the only way."""

import structlog
from faststream.rabbit import RabbitMessage

from chassis.broker import BrokerConnection, BrokerUnavailable, consume
from contracts.envelope import Envelope, InvalidEvent, parse
from contracts.identity import SessionRevoked
from gateway.denylist import DenyList

DENY_SESSIONS = "gateway.deny-sessions"

log = structlog.get_logger(__name__)


def on_session_revoked(denylist: DenyList, envelope: Envelope[SessionRevoked]) -> None:
    """Refuse the session's tokens, or all of the person's; twice is as once, so there is no inbox."""
    if envelope.data.session_id is None:
        denylist.deny_person(envelope.data.user_id, envelope.time)
    else:
        denylist.deny_session(envelope.data.session_id)


class Ears:
    """The gateway's consumer: connects in the background and comes back when RabbitMQ does."""

    def __init__(self, broker_url: str, denylist: DenyList) -> None:
        self._denylist = denylist
        self._connection = BrokerConnection(broker_url)
        consume(self._connection.broker, DENY_SESSIONS, self.receive)

    async def receive(self, message: RabbitMessage) -> None:
        """Act on one delivery; what is no such event goes to the queue's dead letters."""
        try:
            envelope = parse(message.body, SessionRevoked)
        except InvalidEvent as error:
            log.error("event_unreadable", consumer=DENY_SESSIONS, error=type(error).__name__)
            await message.reject(requeue=False)
            return
        on_session_revoked(self._denylist, envelope)
        await message.ack()

    def open(self) -> None:
        """Begin to connect and to listen."""
        self._connection.connect()

    async def check(self) -> None:
        """Raise `BrokerUnavailable` unless the queue is being listened to; the health check."""
        if not await self._connection.has_consumer(DENY_SESSIONS):
            raise BrokerUnavailable

    async def close(self) -> None:
        """Stop listening."""
        await self._connection.close()
