"""The worker of a service: relay, consumers, scheduled work and a health port, as parts of one process."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from chassis.broker import BrokerConnection, BrokerUnavailable, EventPublisher, consume
from chassis.consumer import Consumer, Inbound
from chassis.db import Database
from chassis.dead_letters import DeadLetters, purge_dead_letters
from chassis.edge import Edge
from chassis.faults import TransientFault, is_transient
from chassis.health import Health, HealthCheck
from chassis.idempotency_records import purge_idempotency_records
from chassis.inbox import purge_old_records
from chassis.problems import describe
from chassis.process import Part, Process
from chassis.relay import Relay
from chassis.server import serve
from chassis.settings import StatefulSettings
from chassis.work import Periodic, Work
from chassis.worker_health import WorkerHealth
from contracts.envelope import Event

CONSUMER_CHECK_SECONDS = 10.0
CONSUMERS_MISSING_SECONDS = 60.0
RELAY_STALLED_SECONDS = 30.0
PURGE_SECONDS = 3600.0

log = structlog.get_logger(__name__)


class ConsumersLost(TransientFault):
    """The broker delivers to none of our consumers although the connection is up."""


class RelayStalled(TransientFault):
    """The relay has not looked at the outbox for long."""


@dataclass
class Worker:
    """Everything that a service does beside answering HTTP."""

    settings: StatefulSettings
    database: Database
    work: Work
    announce: Event

    @asynccontextmanager
    async def parts(self, process: Process) -> AsyncIterator[list[Part]]:
        """Connect to the broker and return the parts of the worker's process; disconnect at the end."""
        broker_url = self.settings.broker_url.get_secret_value()
        publisher, inbound = EventPublisher(broker_url), BrokerConnection(broker_url)
        for consumer in self.work.consumers:
            handling = Inbound(
                self.database,
                consumer,
                later=publisher,
                patience_seconds=self.settings.unknown_event_seconds,
            )
            consume(inbound.broker, consumer.queue, handling.receive)
        publisher.connect()
        inbound.connect()
        # Events leave however many handlers there are.
        outbox = self.database.apart(1)
        try:
            yield self._parts(Relay(outbox, publisher), publisher, inbound, process)
        finally:
            await outbox.close()
            await publisher.close()

    def _parts(
        self, relay: Relay, publisher: EventPublisher, inbound: BrokerConnection, process: Process
    ) -> list[Part]:
        dead_letters = DeadLetters(
            self.database, inbound, [consumer.queue for consumer in self.work.consumers]
        )
        checks = {
            "db": self.database.ping,
            "broker": lambda: self._check_broker(publisher, inbound),
            "relay": lambda: _tell_turn(relay),
            "outbox": lambda: _tell_depth(relay),
            "dead_letters": dead_letters.tell,
            **self.work.checks,
        }
        return [
            Part("consumers", lambda: self._watch_consumers(inbound), finish=inbound.close),
            Part("relay", relay.run),
            Part("dead-letters", dead_letters.watch),
            Part("wake-ups", self.database.notifications.listen),
            Part("announce", self._announce),
            *(Part(name, loop) for name, loop in self.work.loops.items()),
            *(Part(periodic.name, periodic.run) for periodic in (*self._purges(), *self.work.periodic)),
            self._health(checks, process),
        ]

    def _health(self, checks: Mapping[str, HealthCheck], process: Process) -> Part:
        health = Health(self.settings.version, checks, lambda: process.is_stopping)
        app = Edge(WorkerHealth(health))
        server = serve(app, host=self.settings.host, port=self.settings.worker_port)
        return server.part("health", outlasts=True)

    def _purges(self) -> list[Periodic]:
        return [
            Periodic("purge-inbox", PURGE_SECONDS, lambda: purge_old_records(self.database)),
            Periodic(
                "purge-idempotency-records", PURGE_SECONDS, lambda: purge_idempotency_records(self.database)
            ),
            Periodic("purge-dead-letters", PURGE_SECONDS, lambda: purge_dead_letters(self.database)),
        ]

    async def announce_once(self) -> None:
        """Write the announcement of this service into its outbox."""
        async with self.database.unit_of_work() as uow:
            uow.publish(self.announce)

    async def _announce(self) -> None:
        announced = False
        while not announced:
            try:
                await self.announce_once()
                announced = True
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("announcement_postponed", error=describe(error))
                await asyncio.sleep(1)
        await asyncio.Event().wait()

    async def _check_broker(self, publisher: EventPublisher, inbound: BrokerConnection) -> None:
        await publisher.ping()
        await inbound.ping()
        missing = await missing_consumers(inbound, self.work.consumers)
        if missing:
            raise ConsumersLost(f"no consumer on {', '.join(missing)}")

    async def _watch_consumers(self, inbound: BrokerConnection) -> None:
        loop = asyncio.get_running_loop()
        healthy_at = loop.time()
        while True:
            await asyncio.sleep(CONSUMER_CHECK_SECONDS)
            try:
                missing = await missing_consumers(inbound, self.work.consumers)
            except BrokerUnavailable:
                # Without a connection nothing can be said; the connection mends itself.
                healthy_at = loop.time()
                continue
            if not missing:
                healthy_at = loop.time()
            elif loop.time() - healthy_at > CONSUMERS_MISSING_SECONDS:
                raise ConsumersLost(f"no consumer on {', '.join(missing)}")


async def missing_consumers(inbound: BrokerConnection, consumers: Sequence[Consumer]) -> list[str]:
    """Return the queues that exist and that nobody consumes, or that do not exist.

    Raises `BrokerUnavailable` when the broker can't be asked.
    """
    if not await inbound.is_connected():
        raise BrokerUnavailable
    return [consumer.queue for consumer in consumers if not await inbound.has_consumer(consumer.queue)]


async def _tell_depth(relay: Relay) -> str | None:
    return (await relay.depth()).words


async def _tell_turn(relay: Relay) -> str:
    seconds = relay.seconds_since_turn()
    if seconds > RELAY_STALLED_SECONDS:
        raise RelayStalled(f"no turn for {seconds:.0f} s")
    return f"its last turn {seconds:.0f} s ago"
