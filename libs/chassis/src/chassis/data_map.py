"""The data map of a service: what it holds of people, where, why, for how long, and what ends it.

It is made of what stands beside the code that writes: the holdings, the tables and columns, and the places
outside of the schemas. What queues, logs and memory every service has, is said here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Column, MetaData, Table

from chassis.declarations import RULE, About, DataClass, Place, PlaceKind, Purpose
from chassis.holdings import Holding
from chassis.processing import Document, document_of, log_of
from contracts.topology import SUBSCRIPTIONS, dead_letter_queue, later_queue

_DELIVERED = About(
    data_class=DataClass.PSEUDONYM, purpose=Purpose.DELIVERY, retention="until the service has acted on it"
)
_PARKED = About(data_class=DataClass.PSEUDONYM, purpose=Purpose.OPERATION, retention="30 days at most")
_LATER = About(data_class=DataClass.PSEUDONYM, purpose=Purpose.DELIVERY, retention="ten seconds at a time")
_JOURNAL = About(
    data_class=DataClass.PSEUDONYM, purpose=Purpose.ERASURE, retention="for ever, as keyed hashes"
)
_REMEMBERED = About(
    data_class=DataClass.PSEUDONYM, purpose=Purpose.SECURITY, retention="until the token expires"
)


@dataclass(frozen=True)
class DataMap:
    """One service's declarations, put together."""

    service: str
    schemas: Sequence[MetaData]
    holdings: Sequence[Holding[Any]]
    places: Sequence[Place]

    def undeclared(self) -> list[str]:
        """Return what lies nowhere in the words of a holding, of its table or of itself."""
        kinds = {holding.kind for holding in self.holdings}
        found = [
            f"{table.fullname}.{column.name}"
            for table in self._tables()
            for column in table.columns
            if self._about(table) is None or not RULE.fullmatch(_rule(table, column))
        ]
        return found + [place.name for place in self.places if place.held_as and place.held_as not in kinds]

    def document(self) -> Document:
        """Return the map as JSON; what is undeclared is not in it."""
        return {
            "service": self.service,
            "holdings": [_of_holding(holding) for holding in self.holdings],
            "columns": [row for table in self._tables() for row in self._columns(table)],
            "places": [self._place(place) for place in self.places],
        }

    def _tables(self) -> Iterator[Table]:
        for metadata in self.schemas:
            yield from sorted(metadata.tables.values(), key=lambda table: table.name)

    def _columns(self, table: Table) -> Iterator[Document]:
        about = self._about(table)
        if about is None:
            return
        holding, said = about
        for column in table.columns:
            in_export = column.info.get("in_export", said.in_export)
            yield {
                "table": table.fullname,
                "column": column.name,
                "held_as": holding,
                **asdict(said),
                "data_class": column.info.get("data_class", said.data_class),
                "in_export": in_export,
                "on_erase": _rule(table, column),
                "pruned_by": table.info.get("pruned_by", ""),
            }

    def _about(self, table: Table) -> tuple[str, About] | None:
        """Return which holding counts the rows of a table, if one does, and what they are about."""
        held_as = table.info.get("held_as")
        for holding in self.holdings:
            rows = holding.person is not None and holding.person.class_.__table__ is table
            if rows or holding.kind == held_as:
                return holding.kind, _as_about(holding)
        own = table.info.get("about")
        return None if own is None else ("", own)

    def _place(self, place: Place) -> Document:
        held = [_as_about(it) for it in self.holdings if it.kind == place.held_as]
        return document_of(place, place.about or held[0])


def _rule(table: Table, column: "Column[Any]") -> str:
    return str(column.info.get("on_erase", table.info.get("on_erase", "")))


def _as_about(holding: Holding[Any]) -> About:
    return About(
        data_class=holding.data_class,
        purpose=holding.purpose,
        retention=holding.retention,
        in_export=holding.in_export,
    )


def _of_holding(holding: Holding[Any]) -> Document:
    return {"kind": holding.kind, **asdict(_as_about(holding)), "on_erase": holding.on_erase}


def usual_places(service: str) -> Iterator[Place]:
    """Yield what every service with a worker has: its queues, its logs, and what its processes remember."""
    subjects = "events, which name people by id and nothing else"
    for entry in (entry for entry in SUBSCRIPTIONS if entry.service == service):
        yield _queue(entry.queue, subjects, "a message leaves when it was acted on", _DELIVERED)
        parked = dead_letter_queue(entry.queue)
        ends = "within a minute after their person is erased; thirty days, or an operator's redrive"
        yield _queue(parked, "events that failed", ends, _PARKED)
    yield _queue(later_queue(service), "events of unknown types", "put off for ten seconds", _LATER)
    yield Place(
        kind=PlaceKind.OBJECT,
        name=f"irisvue-journal/{service}/{{page}}",
        holds="the erasure journal: keyed hashes of who was erased, and ids of erasures",
        on_erase="retain: they keep who was erased from coming back with a backup",
        about=_JOURNAL,
    )
    yield log_of(f"{service}-api")
    yield log_of(f"{service}-worker")
    yield Place(
        kind=PlaceKind.MEMORY,
        name=f"{service}-api/verified-tokens",
        holds="access tokens that were verified: ids of an account and a session",
        on_erase="empties itself: a token is forgotten when it expires, half an hour at most",
        about=_REMEMBERED,
    )


def _queue(name: str, holds: str, ends: str, about: About) -> Place:
    return Place(
        kind=PlaceKind.QUEUE, name=name, holds=holds, on_erase=f"empties itself: {ends}", about=about
    )
