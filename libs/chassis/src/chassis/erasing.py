"""What a service says of its part in erasures, and what each one opens."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from uuid import UUID

from chassis.db import Database, UnitOfWork
from chassis.erasure import ListOpenErasures, OpenErasure
from chassis.holdings import Holding
from chassis.holds import ListHolds
from chassis.inventory import Retained
from chassis.service_auth import ServiceTokens
from chassis.settings import StatefulSettings
from contracts.envelope import Event

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, MetaData, Table

    from chassis.declarations import Place
    from chassis.erasure_journal import Sweep


class Opened(Protocol):
    """What every service opens once per process; its own collaborators come on top."""

    @property
    def settings(self) -> StatefulSettings:
        """The settings that it was opened with."""

    @property
    def database(self) -> Database:
        """Its schema."""

    @property
    def service_tokens(self) -> ServiceTokens:
        """What it proves itself with to other services, and knows them by."""


C = TypeVar("C", bound=Opened)


@dataclass(frozen=True)
class Erasing(Generic[C]):
    """A service's part in erasures: what asks for one, what is held of a person, and who lists them.

    `schemas` are the tables that it has, `places` what it writes to beside them and what every service has.
    `ready` tells those of the tasks whose erasure may begin, `regimes` under which laws people are and
    `deadline` by when these want an answer, `retained` what an erasure leaves, and `key_providers` what wraps
    data keys, by the codes of `contracts.key_providers`. After a restore `reopen` does what the service does
    beside its own part; `further_schemas` remember erased people too, and come with what sweeps them, and
    `holds` lists what must not be erased yet, where anything here can be held.
    """

    event: type[Event]
    holdings: Sequence[Holding[C]]
    schemas: "Sequence[MetaData]"
    open_erasures: Callable[[C], ListOpenErasures]
    places: "Sequence[Place]" = ()
    ready: "Callable[[C, Table], ColumnElement[bool]] | None" = None
    reopen: "Callable[[C, UnitOfWork, OpenErasure], Awaitable[None]] | None" = None
    further_schemas: "Callable[[C], Sequence[tuple[Database, Sweep]]]" = lambda _: ()
    regimes: Callable[[C, Sequence[UUID]], Awaitable[Mapping[UUID, Sequence[str]]]] | None = None
    retained: Sequence[Retained] = ()
    key_providers: Callable[[C], Sequence[str]] = lambda _: ()
    holds: Callable[[C], ListHolds] | None = None
    deadline: Callable[[C, Sequence[str], datetime], datetime | None] | None = None
