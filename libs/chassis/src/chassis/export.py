"""Taking part in data exports: a service writes its section straight to where exports are put together.

No personal data travels on the bus: the event that asks names a person and an export, the section goes over a
link that is good for minutes, and what is announced then are counts. Everything may be repeated: a section
that is written again replaces the one before.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from chassis.db import UnitOfWork
from chassis.export_section import Section
from chassis.handling import Consumer
from chassis.holdings import HoldsRows
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.problems import PersonErased
from contracts.envelope import Envelope, Event
from contracts.participation import ExportContributed, Handles
from contracts.registry import ASSEMBLER

WRITE_SECONDS = 600.0
OVER = frozenset({404, 409, 410})
"""Answers to a contributor that say: this export waits for nothing from you any more."""
CONTENT_TYPE = "application/octet-stream"
C = TypeVar("C", bound=HoldsRows)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Exporting(Generic[C]):
    """A service's part in exports: the event that asks for a section, and the client of the assembler."""

    event: type[Event]
    assembler: Callable[[C], ServiceClient]


def handled(service: str, exporting: Exporting[Any] | None) -> Handles:
    """Return what a service takes part in; who assembles the exports has a section in each as well."""
    return ("erasure", "export") if exporting or service == ASSEMBLER else ("erasure",)


class ExportContribution(Generic[C]):
    """Writes the section of one service, once for each time that it is asked for."""

    def __init__(self, opened: C, section: Section[C], exporting: Exporting[C]) -> None:
        self._opened = opened
        self._section = section
        self._exporting = exporting
        self._reported = ExportContributed.by(section.service)
        self._written: dict[UUID, dict[str, int]] = {}

    def consumer(self) -> Consumer:
        """Return the consumer of the requests."""
        event = self._exporting.event
        return Consumer(
            f"{self._section.service}.contribute-export",
            {event: self._announce},
            before={event: self._prepare},
        )

    async def _prepare(self, envelope: Envelope[Any]) -> None:
        """Write the section, outside of every transaction; raises `PersonErased`."""
        asked = envelope.data
        async with self._opened.database.unit_of_work() as uow:
            if await uow.is_erased(asked.user_id):
                raise PersonErased
        counts = await self.write(asked.export_id, asked.user_id)
        if counts is not None:
            self._written[asked.export_id] = counts

    async def _announce(self, uow: UnitOfWork, envelope: Envelope[Any]) -> None:
        counts = self._written.pop(envelope.data.export_id, None)
        if counts is not None:
            uow.publish(self._reported.of(envelope.data.export_id, records=counts))

    async def write(self, export_id: UUID, user_id: UUID) -> dict[str, int] | None:
        """Write the section and return how many records of each kind it has.

        None when nobody waits for it any more. Raises `NeighbourUnavailable` and what the holdings raise.
        """
        client, counts = self._exporting.assembler(self._opened), dict[str, int]()
        section = _Watched(self._section.stream(user_id, counts))
        try:
            link = await client.get(f"/internal/exports/{export_id}/link")
            await client.put(
                str(link["path"]), section.pieces(), content_type=CONTENT_TYPE, seconds=WRITE_SECONDS
            )
        except NeighbourRefused as refusal:
            if refusal.status not in OVER:
                raise
            log.info("export_is_over", export_id=str(export_id), status=refusal.status)
            return None
        except NeighbourUnavailable:
            if section.failure is not None:
                # The client only saw a body that broke off.
                raise section.failure from None
            raise
        return counts


class _Watched:
    """A stream that remembers what broke it, wherever that is wrapped on the way."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self.failure: Exception | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the stream."""
        try:
            async for piece in self._stream:
                if piece:
                    yield piece
        except Exception as error:
            self.failure = error
            raise
