"""What a service holds of one person, and what an erasure leaves there: told before anybody asks for one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from chassis.holdings import Holding, Holdings
from chassis.holds import Hold
from contracts.fields import DataKind, KeyProvider, ServiceName


class HeldKind(BaseModel):
    """One kind of data that an erasure takes, and how many there are now.

    Its class, purpose and fate are in the words of `chassis.holdings`, of whichever release answers.
    """

    kind: DataKind
    count: int = Field(ge=0)
    held: int = Field(default=0, ge=0, description="How many more there are that holds keep.")
    holdable: bool = Field(default=False, description="Whether a hold may name this kind.")
    data_class: str
    purpose: str
    on_erase: str
    retention: str = Field(description="How long it is kept when nobody asks for an erasure.")


class Retained(BaseModel):
    """What stays after an erasure: what it says, why it stays, and until when."""

    model_config = ConfigDict(frozen=True)

    kind: DataKind
    what: str
    why: str
    until: str


class Inventory(BaseModel):
    """What one participant answers about one person."""

    service: ServiceName
    erased: list[HeldKind]
    retained: list[Retained]
    key_providers: list[KeyProvider] = Field(
        default=[],
        description="What wraps the data keys of this participant, where it has some.",
        examples=[["file"]],
    )


TakeInventory = Callable[[UUID, Sequence[Hold]], Awaitable[Inventory]]
"""Counts what is held of a person; under holds, what an erasure would take and what these would keep."""

TOMBSTONE = Retained(
    kind="tombstones",
    what="a keyed hash of the account's id",
    why="so that nothing that arrives late, or comes back from a backup, is stored again",
    until="for ever: the hash leads to nobody without the key",
)
"""What every participant keeps."""


class Declared(Protocol):
    """What a service declares about erasures, as far as an inventory goes."""

    @property
    def holdings(self) -> Sequence[Holding[Any]]:
        """What is counted and erased."""

    @property
    def retained(self) -> Sequence[Retained]:
        """What stays."""

    @property
    def key_providers(self) -> Callable[[Any], Sequence[str]]:
        """What wraps data keys."""


def taking_inventory(service: str, opened: Any, declared: Declared) -> TakeInventory:
    """Return what counts what the service holds of a person, as an erasure would; it raises as that does."""
    holdings = Holdings(opened, declared.holdings)

    async def take_inventory(user_id: UUID, holds: Sequence[Hold]) -> Inventory:
        counted = (await holdings.count([user_id]))[user_id]
        kept = (await holdings.kept({user_id: holds})).get(user_id, {}) if holds else {}
        erased = [
            HeldKind(
                kind=it.kind,
                count=counted[it.kind] - kept.get(it.kind, 0),
                held=kept.get(it.kind, 0),
                holdable=it.holdable,
                data_class=it.data_class,
                purpose=it.purpose,
                on_erase=it.on_erase,
                retention=it.retention,
            )
            for it in declared.holdings
        ]
        return Inventory(
            service=service,
            erased=erased,
            retained=[*declared.retained, TOMBSTONE],
            key_providers=list(declared.key_providers(opened)),
        )

    return take_inventory
