"""How a report or a retirement changes an erasure, and completes it, but for what is held: the statements."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    Uuid,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.tables import Moment
from identity.erasure.policy import HoldTerms, Report, Retirement
from identity.models import Erasure, ErasureParticipant
from identity.repositories.holds import HOLDS, terms_of

_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)
_SAID = [_PARTS.c[name] for name in (*Report._fields, "held_at", "retired_at", "retired_reason")]
_REPORTED = ("completed_at", "erased", "digest", "regimes", "key_providers", "held", "held_at")


class Completion(NamedTuple):
    """What the last report has left: nothing, or what is held; whose it was, its times, and every report.

    `completed_at` is None while something is held, since `held_since`; `holds` have to do with it, in force
    or not. `retired` are those who were not waited for.
    """

    user_id: UUID
    holds: list[HoldTerms]
    requested_at: datetime
    deadline: datetime
    grace_until: datetime | None
    erasing_at: datetime
    verifying_at: datetime
    partial_at: datetime | None
    overdue_at: datetime | None
    held_since: datetime | None
    completed_at: datetime | None
    reports: list[Report]
    retired: list[Retirement]


class Said(NamedTuple):
    """A row of what participants said, in the order of `_SAID`."""

    service: str
    completed_at: datetime | None
    erased: dict[str, int]
    digest: str
    regimes: list[str] | None
    key_providers: list[str] | None
    held: dict[str, int] | None
    held_at: datetime | None
    retired_at: datetime
    retired_reason: str

    @property
    def looked_at(self) -> datetime | None:
        """When it had looked again, and had found nothing or what is held."""
        return self.completed_at or self.held_at

    @property
    def report(self) -> Report:
        """What it said, of one that has looked again."""
        at = cast("datetime", self.looked_at)
        known = (self.erased, self.digest, self.regimes, self.key_providers)
        return Report(self.service, at, *known, self.held or {})

    @property
    def retirement(self) -> Retirement:
        """Why it was not waited for, of one that was not."""
        return Retirement(self.service, self.retired_at, self.retired_reason)


def _knows_every_hold() -> ColumnElement[bool]:
    """Tell whether a report that keeps something was made under the holds that are in force now."""
    keeps_nothing = bindparam("new_held_at", type_=Moment).is_(None)
    return or_(keeps_nothing, bindparam("went_by", type_=Integer) == _ERASURES.c.holds_version)


def _reporting(erasure: BindParameter[UUID]) -> CTE:
    values = {name: bindparam(f"new_{name}", type_=_PARTS.c[name].type) for name in _REPORTED}
    said: dict[str, Any] = {
        "erasure_id": _ERASURES.c.id,
        "service": bindparam("participant", type_=String),
        **values,
    }
    added = insert(_PARTS).from_select(
        list(said), select(*said.values()).where(_ERASURES.c.id == erasure, _OPEN, _knows_every_hold())
    )
    return (
        added.on_conflict_do_update(
            index_elements=[_PARTS.c.erasure_id, _PARTS.c.service],
            set_=values,
            # The first report stands; of one that keeps something, until nothing is kept.
            where=_PARTS.c.completed_at.is_(None)
            & or_(_PARTS.c.held_at.is_(None), added.excluded.completed_at.is_not(None)),
        )
        .returning(*_SAID)
        .cte("changed")
    )


def _retiring(erasure: BindParameter[UUID]) -> CTE:
    return (
        update(_PARTS)
        .where(
            _PARTS.c.erasure_id == erasure,
            _PARTS.c.service == bindparam("participant", type_=String),
            _PARTS.c.completed_at.is_(None),
            exists(select(_ERASURES.c.id).where(_ERASURES.c.id == erasure, _OPEN)),
        )
        .values(
            retired_at=bindparam("new_retired_at"),
            retired_reason=bindparam("new_retired_reason"),
            held_at=None,
            held=null(),
        )
        .returning(*_SAID)
        .cte("changed")
    )


def _parts(erasure: BindParameter[UUID], changed: CTE) -> CTE:
    """Return where every participant stands by now, the change of this moment too."""
    # What the statement writes it does not see: the others are those of before.
    others = select(*_SAID).where(
        _PARTS.c.erasure_id == erasure, _PARTS.c.service.not_in(select(changed.c.service))
    )
    return others.union_all(select(changed)).cte("parts")


def _stepping(erasure: BindParameter[UUID], parts: CTE) -> CTE:
    """Return the change of the erasure's own row: the first look, what is held, the end, and a deadline."""
    part, row = parts.c, _ERASURES.c
    begun = func.coalesce(row.erasing_at, row.requested_at)
    # Clocks of two machines may differ by more than a step takes; a step is never before the one it follows.
    moment = func.greatest(bindparam("at", type_=Moment), begun, row.verifying_at, row.partial_at)
    silent = part.completed_at.is_(None) & part.retired_at.is_(None)
    done = ~exists().where(silent)
    held = not_(done) & ~exists().where(silent, part.held_at.is_(None))
    heard = exists().where(or_(part.completed_at.is_not(None), part.held_at.is_not(None)))
    law = bindparam("new_deadline", type_=Moment)
    # What was held by law could not be erased by the day that the law says for everything else.
    lawful = law.is_not(None) & row.resumed_at.is_(None)
    return (
        update(_ERASURES)
        .where(row.id == erasure, _OPEN)
        .where(or_(row.verifying_at.is_(None) & heard, done, held & row.held_since.is_(None), lawful))
        .values(
            verifying_at=func.coalesce(row.verifying_at, moment),
            partial_at=case((held, func.coalesce(row.partial_at, moment)), else_=row.partial_at),
            held_since=case((held, func.coalesce(row.held_since, moment))),
            completed_at=case((done, moment)),
            user_id=case((done, null()), else_=row.user_id),
            holds=case((done, literal_column("'[]'::jsonb", JSONB)), else_=row.holds),
            deadline=case((lawful, law), else_=row.deadline),
        )
        .returning(
            row.requested_at,
            row.deadline,
            row.grace_until,
            begun.label("erasing_at"),
            row.verifying_at,
            row.partial_at,
            row.overdue_at,
            row.held_since,
            row.completed_at,
        )
        .cte("stepped")
    )


def _completing(change: Callable[[BindParameter[UUID]], CTE]) -> Select[Any]:
    """Return what makes the change, and completes the erasure if nobody is waited for then."""
    erasure = bindparam("erasure", type_=Uuid)
    parts = _parts(erasure, change(erasure))
    stepped = _stepping(erasure, parts)
    # As of before the statement, which empties it.
    before = select(_ERASURES.c.user_id).where(_ERASURES.c.id == erasure).scalar_subquery()
    was_held = select(_ERASURES.c.held_since).where(_ERASURES.c.id == erasure).scalar_subquery()
    done = stepped.c.completed_at.is_not(None)
    ended = (
        update(HOLDS)
        .where(HOLDS.c.user_id == before, exists(select(stepped.c.completed_at).where(done)))
        .values(
            user_id=None,
            record=None,
            ended_at=func.coalesce(HOLDS.c.ended_at, select(stepped.c.completed_at).scalar_subquery()),
        )
        .cte("ended")
    )
    holds = terms_of(before, stepped.c.requested_at)
    found = (
        select(before, holds, stepped, parts)
        .select_from(stepped.join(parts, true()))
        .where(or_(done, stepped.c.held_since.is_not(None) & was_held.is_(None)))
        .order_by(parts.c.service)
    )
    return cast("Select[Any]", found).add_cte(ended)


COLLECT = _completing(_reporting)
RETIRE = _completing(_retiring)
