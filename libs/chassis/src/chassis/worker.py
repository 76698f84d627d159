"""The worker of a service: relay, consumers, scheduled work and a health port, supervised together.

Any part that ends takes the process down, and its supervisor starts a fresh one: half a worker that looks
alive would be worse than none.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import structlog

from chassis.answers import purge_answers
from chassis.api import create_app, serve
from chassis.broker import BrokerConnection, BrokerUnavailable, EventPublisher, consume
from chassis.consumer import Consumer, Inbound
from chassis.db import Database
from chassis.dead_letters import DeadLetters, purge_dead_letters
from chassis.faults import TransientFault, is_transient
from chassis.health import HealthCheck
from chassis.inbox import purge_old_records
from chassis.problems import describe
from chassis.relay import Relay
from chassis.settings import StatefulSettings
from contracts.envelope import Event

CONSUMER_CHECK_SECONDS = 10.0
CONSUMERS_MISSING_SECONDS = 60.0
PURGE_SECONDS = 3600.0
JOBS_SECONDS = 10.0

Loop = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


class ConsumersLost(TransientFault):
    """The broker delivers to none of our consumers although the connection is up."""


@dataclass(frozen=True)
class Periodic:
    """Work that is done again and again; a passing fault waits for the next turn."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


@dataclass
class Worker:
    """Everything that a service does beside answering HTTP."""

    settings: StatefulSettings
    database: Database
    consumers: Sequence[Consumer]
    loops: Mapping[str, Loop] = field(default_factory=dict)
    periodic: Sequence[Periodic] = ()
    checks: Mapping[str, HealthCheck] = field(default_factory=dict)
    announce: Event | None = None
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then stop consuming, finish what runs, and leave."""
        broker_url = self.settings.broker_url.get_secret_value()
        publisher, inbound = EventPublisher(broker_url), BrokerConnection(broker_url)
        for consumer in self.consumers:
            handling = Inbound(
                self.database,
                consumer,
                later=publisher,
                patience_seconds=self.settings.unknown_event_seconds,
            )
            consume(inbound.broker, consumer.queue, handling.receive)
        relay = Relay(self.database, publisher)
        stop = _stop_signal()
        async with self.resources:
            publisher.connect()
            inbound.connect()
            jobs = [
                asyncio.create_task(_until_stopped(job, stop), name=name)
                for name, job in self._jobs(relay, publisher, inbound, stop).items()
            ]
            ended: set[asyncio.Task[None]] = set()
            try:
                ended, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked = stop.is_set()
                stop.set()
                await self._wind_down(jobs, inbound, publisher)
            if not asked:
                _report_ended(ended)
                raise SystemExit(1)

    def _jobs(
        self, relay: Relay, publisher: EventPublisher, inbound: BrokerConnection, stop: asyncio.Event
    ) -> dict[str, Awaitable[None]]:
        dead_letters = DeadLetters(self.database, inbound, [consumer.queue for consumer in self.consumers])
        checks = {
            "db": self.database.ping,
            "broker": lambda: self._check_broker(publisher, inbound),
            "outbox": lambda: _tell_depth(relay),
            "dead_letters": dead_letters.tell,
            **self.checks,
        }
        jobs: dict[str, Awaitable[None]] = {
            "relay": relay.run(),
            "dead-letters": dead_letters.watch(),
            "wake-ups": self.database.notifications.listen(),
            "health": self._serve_health(checks, stop),
            "announce": self._announce(),
            "watch-consumers": self._watch_consumers(inbound),
        }
        jobs |= {name: loop() for name, loop in self.loops.items()}
        jobs |= {periodic.name: _repeat(periodic) for periodic in (*self._purges(), *self.periodic)}
        return jobs

    def _purges(self) -> list[Periodic]:
        return [
            Periodic("purge-inbox", PURGE_SECONDS, lambda: purge_old_records(self.database)),
            Periodic("purge-answers", PURGE_SECONDS, lambda: purge_answers(self.database)),
            Periodic("purge-dead-letters", PURGE_SECONDS, lambda: purge_dead_letters(self.database)),
        ]

    async def announce_once(self) -> None:
        """Write the announcement of this service, if it has one, into its outbox."""
        if self.announce is not None:
            async with self.database.unit_of_work() as uow:
                uow.publish(self.announce)

    async def _announce(self) -> None:
        while self.announce is not None:
            try:
                await self.announce_once()
                break
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("announcement_postponed", error=describe(error))
                await asyncio.sleep(1)
        await asyncio.Event().wait()

    async def _serve_health(self, checks: Mapping[str, HealthCheck], stop: asyncio.Event) -> None:
        app = create_app(self.settings, title="Worker health", routers=[], checks=checks)
        server = serve(app, host=self.settings.host, port=self.settings.worker_port, lifespan="off")
        await server.serve()
        # The server takes the signals while it runs, and ends only because of one.
        stop.set()

    async def _check_broker(self, publisher: EventPublisher, inbound: BrokerConnection) -> None:
        await publisher.ping()
        await inbound.ping()
        missing = await missing_consumers(inbound, self.consumers)
        if missing:
            raise ConsumersLost(f"no consumer on {', '.join(missing)}")

    async def _watch_consumers(self, inbound: BrokerConnection) -> None:
        loop = asyncio.get_running_loop()
        healthy_at = loop.time()
        while True:
            await asyncio.sleep(CONSUMER_CHECK_SECONDS)
            try:
                missing = await missing_consumers(inbound, self.consumers)
            except BrokerUnavailable:
                # Without a connection nothing can be said; the connection mends itself.
                healthy_at = loop.time()
                continue
            if not missing:
                healthy_at = loop.time()
            elif loop.time() - healthy_at > CONSUMERS_MISSING_SECONDS:
                raise ConsumersLost(f"no consumer on {', '.join(missing)}")

    async def _wind_down(
        self,
        jobs: list["asyncio.Task[None]"],
        inbound: BrokerConnection,
        publisher: EventPublisher,
    ) -> None:
        asyncio.get_running_loop().set_exception_handler(_note_what_leaving_breaks)
        await inbound.close()
        # Every job has been told to stop; one that drains is not cut short, one that hangs is.
        _, hanging = await asyncio.wait(jobs, timeout=JOBS_SECONDS)
        for job in hanging:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await publisher.close()
        await self.database.close()


def _note_what_leaving_breaks(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A job that is ended in the middle of a query leaves its connection to be dropped, and the driver with an
    # answer that nobody waits for. That is nobody's error; whatever else goes wrong is told as ever.
    error = context.get("exception")
    if isinstance(error, ConnectionError):
        log.info("connection_dropped_while_leaving", error=describe(error))
    else:
        loop.default_exception_handler(context)


async def missing_consumers(inbound: BrokerConnection, consumers: Sequence[Consumer]) -> list[str]:
    """Return the queues that exist and that nobody consumes, or that do not exist.

    Raises `BrokerUnavailable` when the broker can't be asked.
    """
    if not await inbound.is_connected():
        raise BrokerUnavailable
    return [consumer.queue for consumer in consumers if not await inbound.has_consumer(consumer.queue)]


async def _tell_depth(relay: Relay) -> str | None:
    depth = await relay.depth()
    if not depth.waiting:
        return None
    return f"{depth.waiting} wait, {depth.failing} failing, the oldest for {depth.oldest_seconds:.0f} s"


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_stopped(job: Awaitable[None], stop: asyncio.Event) -> None:
    running = asyncio.ensure_future(job)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)


def _report_ended(ended: set["asyncio.Task[None]"]) -> None:
    for task in ended:
        if task.cancelled():
            # Not by us: a part that mistook a lost connection for its own end.
            reason = "cancelled"
        else:
            error = task.exception()
            reason = describe(error) if error else "returned"
        log.error("worker_part_ended", part=task.get_name(), error=reason)


async def _repeat(periodic: Periodic) -> None:
    while True:
        try:
            await periodic.work()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("periodic_work_postponed", work=periodic.name, error=describe(error))
        await asyncio.sleep(periodic.seconds)
