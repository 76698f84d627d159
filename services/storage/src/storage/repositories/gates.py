"""Every query about what was heard of consents."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    Select,
    Table,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from chassis.db import UnitOfWork
from chassis.prepared import Prepared
from chassis.repository import Repository
from chassis.tombstones import is_buried
from storage.models import SCHEMA, ConsentGate, FeedPosition
from storage.policy import ConsentState

BATCH = 100
CONSENTS, BUCKET = "consents", "bucket"
_GATES = cast("Table", ConsentGate.__table__)
_EPOCHS = select(_GATES.c.user_id, _GATES.c.epoch, _GATES.c.withdrawn_epoch).where(
    _GATES.c.user_id == func.any(bindparam("people", type_=ARRAY(Uuid)))
)


_ERASED = is_buried(SCHEMA)


def _look() -> Select[Any]:
    one = select(literal(1).label("one")).subquery()
    found = one.outerjoin(_GATES, _GATES.c.user_id == bindparam("person", type_=Uuid))
    return select(_ERASED, _GATES.c.epoch, _GATES.c.withdrawn_epoch).select_from(found)


def _take_over() -> Any:
    new = insert(_GATES).values(
        {column: bindparam(f"gate_{column.name}", type_=column.type) for column in _GATES.c}
    )
    said, known = new.excluded, _GATES.c
    # Of two things said of one epoch, the end holds: a consent may lapse before its epoch moves.
    later = or_(said.epoch > known.epoch, and_(said.epoch == known.epoch, ~said.granted))
    moved = {
        name: case((later, said[name]), else_=known[name]) for name in ("epoch", "granted", "consent_id")
    }
    return new.on_conflict_do_update(
        index_elements=[known.user_id],
        set_=moved
        | {
            "withdrawn_epoch": func.greatest(known.withdrawn_epoch, said.withdrawn_epoch),
            "checked_at": said.checked_at,
        },
    ).returning(_ERASED)


_LOOK, _TAKE_OVER = _look(), Prepared(_take_over())


@dataclass(frozen=True, slots=True)
class Heard:
    """Whether a person is erased, and of their gate, if any, the epochs of its last change and last end."""

    erased: bool
    epochs: tuple[int, int] | None


async def take_over(uow: UnitOfWork, user_id: UUID, state: ConsentState, *, now: datetime) -> None:
    """Lock the person, and move their gate to a state unless something later was heard; locked from then on.

    Raises `PersonErased`.
    """
    fields = {
        "gate_user_id": user_id,
        "gate_epoch": state.epoch,
        "gate_granted": state.granted,
        "gate_consent_id": state.consent_id if state.granted else None,
        "gate_withdrawn_epoch": state.ended_epoch,
        "gate_checked_at": now,
    }
    await uow.fetch_about(user_id, _TAKE_OVER, fields)


class Gates(Repository):
    """What was heard of each person's biometric consent."""

    async def look_at(self, user_id: UUID, *, person_hash: str) -> Heard:
        """Return what was heard of a person, in one round trip."""
        row = (await self._session.execute(_LOOK, {"person": user_id, "person_hash": person_hash})).one()
        erased, epoch, ended = row
        return Heard(erased=erased, epochs=None if epoch is None else (epoch, ended))

    async def share(self, user_id: UUID) -> ConsentGate | None:
        """Return the gate, which nobody can change until the transaction ends."""
        return await self._session.scalar(
            select(ConsentGate).where(ConsentGate.user_id == user_id).with_for_update(read=True)
        )

    async def find(self, user_id: UUID) -> ConsentGate | None:
        """Return the gate as it is now."""
        return await self._session.get(ConsentGate, user_id)

    async def epochs_of(self, user_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
        """Return the epochs of the last change and of the last end, for those who have a gate."""
        found = await self._session.execute(_EPOCHS, {"people": user_ids})
        return {user_id: (epoch, ended) for user_id, epoch, ended in found}

    async def open_longest_unchecked(self, *, before: datetime) -> Sequence[UUID]:
        """Return the people whose open gates were last compared with consent before then."""
        statement = (
            select(ConsentGate.user_id)
            .where(ConsentGate.granted, ConsentGate.checked_at < before)
            .order_by(ConsentGate.checked_at)
            .limit(BATCH)
        )
        return (await self._session.scalars(statement)).all()

    async def remove(self, user_id: UUID) -> None:
        """Forget the gate."""
        await self._session.execute(delete(ConsentGate).where(ConsentGate.user_id == user_id))


class FeedPositions(Repository):
    """How far the feed of changed consents was followed, and when the bucket was last compared."""

    async def current(self) -> int:
        """Return the position behind which nothing was taken over yet; 0 at the beginning."""
        return int(
            await self._session.scalar(select(FeedPosition.position).where(FeedPosition.feed == CONSENTS))
            or 0
        )

    async def move(self, position: int) -> None:
        """Keep a position."""
        fresh = insert(FeedPosition).values(feed=CONSENTS, position=position)
        await self._session.execute(
            fresh.on_conflict_do_update(index_elements=[FeedPosition.feed], set_={"position": position})
        )

    async def take_turn(self, *, now: datetime, every: timedelta) -> bool:
        """Note that the bucket is compared now, unless somebody has begun less than `every` ago."""
        moment = int(now.timestamp())
        fresh = insert(FeedPosition).values(feed=BUCKET, position=moment)
        turn = fresh.on_conflict_do_update(
            index_elements=[FeedPosition.feed],
            set_={"position": moment},
            where=FeedPosition.position <= moment - int(every.total_seconds()),
        )
        return (await self._session.execute(turn.returning(FeedPosition.feed))).first() is not None

    async def give_turn_back(self) -> None:
        """Let the bucket be compared as soon as somebody looks."""
        await self._session.execute(delete(FeedPosition).where(FeedPosition.feed == BUCKET))
