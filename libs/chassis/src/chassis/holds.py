"""Holds: what a law forbids to erase yet, as a participant of erasures knows it.

Why something is held, and who approved it, is known to the coordinator alone; a participant hears what it has
to keep and until when.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self
from uuid import UUID

Document = Mapping[str, Any]


class Stated(Protocol):
    """A hold in an event, in an answer or in a row of the coordinator."""

    @property
    def hold_id(self) -> UUID:
        """Its id."""

    @property
    def kind(self) -> str:
        """The kind of holding that it is about."""

    @property
    def record(self) -> UUID | None:
        """The one thing of that kind; None: all of them."""

    @property
    def expires_at(self) -> datetime:
        """When it ends by itself."""


@dataclass(frozen=True)
class Hold:
    """What one participant keeps of a person until `expires_at`: one `record` of a kind, or all of it."""

    hold_id: UUID
    kind: str
    record: UUID | None
    expires_at: datetime

    @classmethod
    def of(cls, stated: Stated) -> Self:
        """Return the part of a stated hold that a participant needs."""
        return cls(stated.hold_id, stated.kind, stated.record, stated.expires_at)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Return the hold in a document; raises KeyError and ValueError for one that is none."""
        record = document["record"]
        return cls(
            UUID(document["hold_id"]),
            str(document["kind"]),
            None if record is None else UUID(record),
            datetime.fromisoformat(document["expires_at"]),
        )

    def document(self) -> dict[str, str | None]:
        """Return it as JSON has it."""
        return {
            "hold_id": str(self.hold_id),
            "kind": self.kind,
            "record": None if self.record is None else str(self.record),
            "expires_at": self.expires_at.isoformat(),
        }


ListHolds = Callable[[], Awaitable[Mapping[UUID, Sequence[Hold]]]]
"""Asks the coordinator for every hold of this participant, by person."""


def documents(holds: Iterable[Hold]) -> list[dict[str, str | None]]:
    """Return holds as a JSON list, in the order of their ids: equal lists are equal documents."""
    return [hold.document() for hold in sorted(holds, key=lambda hold: hold.hold_id)]


def in_force(found: Iterable[Document], now: datetime) -> list[Hold]:
    """Return the holds in documents that have not ended by themselves."""
    return [hold for hold in map(Hold.read, found) if hold.expires_at > now]


def records_of(kind: str, holds: Iterable[Hold]) -> frozenset[UUID] | None:
    """Return which records of a kind are held: None stands for all of them."""
    named = [hold.record for hold in holds if hold.kind == kind]
    found = frozenset(record for record in named if record is not None)
    return found if len(named) == sum(record is not None for record in named) else None
