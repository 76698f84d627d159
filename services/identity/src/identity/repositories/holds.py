"""Every query about what must not be erased yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from chassis.repository import Repository
from contracts.identity import Hold
from identity.erasure.policy import HoldTerms
from identity.models import DeletionRequest, Erasure, ErasureHold, ErasureParticipant, User

HOLDS = cast("Table", ErasureHold.__table__)
_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)
IN_FORCE = HOLDS.c.ended_at.is_(None)
_NONE: ColumnElement[Any] = literal_column("'[]'::jsonb", JSONB)


_TERMS = [HOLDS.c.id.label("hold_id"), *(HOLDS.c[name] for name in HoldTerms._fields[1:])]


def stated_of(person: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a JSON list of what is in force about a person, as participants are told of it."""
    said = func.jsonb_build_object(
        "hold_id", HOLDS.c.id,
        "service", HOLDS.c.service,
        "kind", HOLDS.c.kind,
        "record", HOLDS.c.record,
        "expires_at", HOLDS.c.expires_at,
    )  # fmt: skip
    every = func.jsonb_agg(aggregate_order_by(said, HOLDS.c.id), type_=JSONB)
    return select(func.coalesce(every, _NONE)).where(HOLDS.c.user_id == person, IN_FORCE).scalar_subquery()


def terms_of(person: ColumnElement[Any], requested_at: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a JSON list of the terms of every hold that an erasure has to do with."""
    names = (part for column in _TERMS for part in (column.name, column))
    every = func.jsonb_agg(aggregate_order_by(func.jsonb_build_object(*names), HOLDS.c.id), type_=JSONB)
    concerned = or_(IN_FORCE, HOLDS.c.ended_at >= requested_at)
    found = select(func.coalesce(every, _NONE))
    return found.where(HOLDS.c.user_id == person, concerned).scalar_subquery()


def holds_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Hold, ...]:
    """Return the holds in such a list."""
    return tuple(
        Hold(
            hold_id=UUID(it["hold_id"]),
            service=it["service"],
            kind=it["kind"],
            record=None if it["record"] is None else UUID(it["record"]),
            expires_at=datetime.fromisoformat(it["expires_at"]),
        )
        for it in documents
    )


def terms_in(documents: Sequence[Mapping[str, Any]]) -> list[HoldTerms]:
    """Return the terms in such a list."""
    moments = ("placed_at", "expires_at", "ended_at")
    return [
        HoldTerms(
            **{
                **it,
                "hold_id": UUID(it["hold_id"]),
                **{name: it[name] and datetime.fromisoformat(it[name]) for name in moments},
            }
        )
        for it in documents
    ]


def terms_of_hold(hold: ErasureHold) -> HoldTerms:
    """Return the terms of a hold."""
    return HoldTerms(hold.id, *(getattr(hold, name) for name in HoldTerms._fields[1:]))


@dataclass(frozen=True, slots=True)
class Release:
    """Who ends a hold before its time, and why; `officer` is a keyed hash of who asked over HTTP."""

    by: str | None = None
    reason: str | None = None
    officer: str | None = None


class Holds(Repository):
    """What must not be erased yet, and why."""

    def add(self, hold: ErasureHold) -> None:
        """Keep a hold."""
        self._session.add(hold)

    async def find(self, hold_id: UUID) -> ErasureHold | None:
        """Return the hold as it is now."""
        return await self._session.get(ErasureHold, hold_id, populate_existing=True)

    async def person_of(self, subject: UUID) -> UUID | None:
        """Return whose account has this id, or whose erasure that is open or asked for."""
        account = select(User.id).where(User.id == subject)
        erasing = select(Erasure.user_id).where(Erasure.id == subject, Erasure.user_id.is_not(None))
        frozen = select(DeletionRequest.user_id).where(DeletionRequest.erasure_id == subject)
        return await self._session.scalar(union_all(account, erasing, frozen))

    async def lock_open_erasure(self, user_id: UUID) -> UUID | None:
        """Return the erasure of a person that is open, locked until the transaction ends."""
        return await self._session.scalar(
            select(Erasure.id)
            .where(Erasure.user_id == user_id, Erasure.completed_at.is_(None))
            .with_for_update()
        )

    async def has_finished(self, erasure_id: UUID, service: str) -> bool:
        """Tell whether a service has found that nothing is left there to be held."""
        done = select(_PARTS.c.service).where(
            _PARTS.c.erasure_id == erasure_id, _PARTS.c.service == service, _PARTS.c.completed_at.is_not(None)
        )
        return bool(await self._session.scalar(select(exists(done))))

    async def in_force_about(self, user_id: UUID) -> Sequence[ErasureHold]:
        """Return what is held of a person now, the oldest first."""
        found = select(ErasureHold).where(ErasureHold.user_id == user_id, ErasureHold.ended_at.is_(None))
        return (await self._session.scalars(found.order_by(ErasureHold.placed_at, ErasureHold.id))).all()

    async def in_force_in(self, service: str) -> Sequence[ErasureHold]:
        """Return what is held in a service now, of everybody."""
        found = select(ErasureHold).where(ErasureHold.service == service, ErasureHold.ended_at.is_(None))
        return (await self._session.scalars(found.order_by(ErasureHold.id))).all()

    async def all_in_force(self, *, limit: int) -> Sequence[ErasureHold]:
        """Return what is held now, of everybody, what ends first coming first."""
        found = select(ErasureHold).where(ErasureHold.ended_at.is_(None))
        return (await self._session.scalars(found.order_by(ErasureHold.expires_at).limit(limit))).all()

    async def of_erasure(self, erasure_id: UUID, *, since: datetime) -> list[HoldTerms]:
        """Return the terms of every hold of an erasure that was not over when it was requested."""
        found: Select[Any] = select(*_TERMS).where(
            HOLDS.c.erasure_id == erasure_id, or_(IN_FORCE, HOLDS.c.ended_at >= since)
        )
        return [HoldTerms(*row) for row in await self._session.execute(found.order_by(HOLDS.c.id))]

    async def told_of(self, erasure_id: UUID) -> Sequence[ErasureHold]:
        """Return every hold of an erasure with all that was said about it, the oldest first."""
        found = select(ErasureHold).where(ErasureHold.erasure_id == erasure_id)
        return (await self._session.scalars(found.order_by(ErasureHold.placed_at, ErasureHold.id))).all()

    async def expired(self, *, now: datetime, limit: int) -> Sequence[UUID]:
        """Return the holds whose time is over, the longest first."""
        found = select(HOLDS.c.id).where(IN_FORCE, HOLDS.c.expires_at <= now)
        return (await self._session.scalars(found.order_by(HOLDS.c.expires_at).limit(limit))).all()

    async def end(self, hold_id: UUID, *, now: datetime, release: Release | None = None) -> bool:
        """End a hold; False when it had ended before."""
        said = release or Release()
        ended = (
            update(HOLDS)
            .where(HOLDS.c.id == hold_id, IN_FORCE)
            .values(
                ended_at=now,
                released_by=said.by,
                release_reason=said.reason,
                releasing_officer=said.officer,
            )
            .returning(HOLDS.c.id)
        )
        return await self._session.scalar(ended) is not None
