"""What every service says that takes part in erasures and exports, whatever it stores.

Invariant: a service speaks only for itself; the event of one pins `service` to the name in its type.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID

from pydantic import Field, create_model, model_validator

from contracts.envelope import EVERY_SERVICE, Event
from contracts.fields import (
    Count,
    Digest,
    ErasedCounts,
    ErasureId,
    ExportedCounts,
    ExportId,
    HeldCounts,
    Jurisdiction,
    KeyProvider,
    NothingHeld,
    ServiceName,
    Timestamp,
    Version,
)

Regimes = Annotated[
    tuple[Jurisdiction, ...],
    Field(description="Under which laws the person was, as far as this participant knows."),
]
KeyProviders = Annotated[
    tuple[KeyProvider, ...],
    Field(
        description="What wraps the data keys of this participant; the first wraps, the others still unwrap."
    ),
]
Handles = tuple[Literal["erasure", "export"], ...]


def erasure_digest(erasure_id: UUID, service: str, erased: dict[str, int]) -> str:
    """Return the SHA-256, in hex, of the canonical JSON (sorted keys, no spaces) of the three."""
    return _digest_of({"erasure_id": str(erasure_id), "service": service, "erased": erased})


def export_digest(export_id: UUID, service: str, records: dict[str, int]) -> str:
    """Return the SHA-256, in hex, of the canonical JSON of the three; of counts, and of nobody's data."""
    return _digest_of({"export_id": str(export_id), "service": service, "records": records})


def _digest_of(said: dict[str, Any]) -> str:
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class _OfEveryService(Event):
    """Published by each service under a type of its own; `*` in the type stands for the service."""

    @classmethod
    def by(cls, service: str) -> type[Self]:
        """Return the event of one service."""
        return cast("type[Self]", _event_of(cls, service))

    @classmethod
    def of_type(cls, event_type: str) -> type[Self] | None:
        """Return the event of the service that the type names; None when it is no type of this event."""
        service, _, rest = event_type.partition(".")
        if cls.type not in {event_type, f"{EVERY_SERVICE}.{rest}"}:
            return None
        return cls if cls.type == event_type else cls.by(service)


@cache
def _event_of(event: type[_OfEveryService], service: str) -> type[_OfEveryService]:
    pinned: dict[str, Any] = {"service": (Literal.__getitem__(service), ...)}
    return create_model(
        f"{service.title()}{event.__name__}",
        __base__=event,
        __doc__=event.__doc__,
        __cls_kwargs__={"type": event.type.replace(EVERY_SERVICE, service)},
        **pinned,
    )


class ErasureReported(_OfEveryService, type="*.erasure.reported.v1"):
    """A participant has erased everything it held of the person, looked again and found nothing.

    But what holds keep, which `held` counts: those of `holds_version`. The erasure goes on there when they
    end. Earlier releases do not say `nothing_held`. `deadline` is by when the laws of `regimes` want it done,
    where one knows that.
    """

    erasure_id: ErasureId
    service: ServiceName
    completed_at: Timestamp
    erased: ErasedCounts
    digest: Digest
    regimes: Regimes = ()
    nothing_held: NothingHeld | None = None
    key_providers: KeyProviders = ()
    held: HeldCounts = Field(default_factory=dict)
    holds_version: Count = 0
    deadline: Timestamp | None = None

    @classmethod
    def of(
        cls,
        erasure_id: UUID,
        *,
        completed_at: datetime,
        erased: dict[str, int],
        regimes: Sequence[str] = (),
        key_providers: Sequence[str] = (),
        held: dict[str, int] | None = None,
        holds_version: int = 0,
        deadline: datetime | None = None,
    ) -> Self:
        """Make the report of the service that this class belongs to."""
        return cls(
            erasure_id=erasure_id,
            service=cls.producer,
            completed_at=completed_at,
            erased=erased,
            digest=erasure_digest(erasure_id, cls.producer, erased),
            regimes=tuple(regimes),
            key_providers=tuple(key_providers),
            nothing_held=not any(erased.values()) and not held,
            held=held or {},
            holds_version=holds_version,
            deadline=deadline,
        )

    @property
    def subject(self) -> str:
        """The erasure, not the person: the person's id is about to mean nothing."""
        return f"erasures/{self.erasure_id}"

    @model_validator(mode="after")
    def _digest_holds(self) -> Self:
        if self.digest != erasure_digest(self.erasure_id, self.service, self.erased):
            raise ValueError("the digest is not that of the counts")
        return self

    @model_validator(mode="after")
    def _zero_is_said(self) -> Self:
        something = any(self.erased.values()) or any(self.held.values())
        if self.nothing_held is not None and self.nothing_held is something:
            raise ValueError("nothing_held is not what the counts say")
        return self


class ExportContributed(_OfEveryService, type="*.export.contributed.v1"):
    """A participant has written its section of an export to where it is put together."""

    export_id: ExportId
    service: ServiceName
    section: ServiceName
    records: ExportedCounts
    digest: Digest

    @classmethod
    def of(cls, export_id: UUID, *, records: dict[str, int]) -> Self:
        """Make the announcement of the service that this class belongs to, whose section has its name."""
        return cls(
            export_id=export_id,
            service=cls.producer,
            section=cls.producer,
            records=records,
            digest=export_digest(export_id, cls.producer, records),
        )

    @property
    def subject(self) -> str:
        """The export; whose it is knows who puts it together."""
        return f"exports/{self.export_id}"

    @model_validator(mode="after")
    def _digest_holds(self) -> Self:
        if self.digest != export_digest(self.export_id, self.service, self.records):
            raise ValueError("the digest is not that of the counts")
        return self


class ParticipantJoined(_OfEveryService, type="*.participant.joined.v1"):
    """A service has started that answers for what it stores: erasures and exports wait for it from now on."""

    service: ServiceName
    handles: Annotated[Handles, Field(min_length=1)]
    version: Version

    @classmethod
    def of(cls, *, handles: Handles, version: str) -> Self:
        """Make the announcement of the service that this class belongs to."""
        return cls(service=cls.producer, handles=handles, version=version)

    @property
    def subject(self) -> str:
        """The service that joined."""
        return f"services/{self.service}"
