"""Keep something of a person from being erased, for a reason in law, and until a day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from chassis.db import Database, UnitOfWork
from chassis.holds import Hold
from chassis.ids import new_id
from chassis.problems import Problem
from identity.account_rules import AccountRules
from identity.erasure.inventories import Inventories, ParticipantSilent
from identity.models import ErasureHold
from identity.repositories import Holds, Users
from identity.use_cases.erasure.tell_service import tell_service

log = structlog.get_logger(__name__)


class HoldRefused(Problem, status=409, title="Nothing is held"):
    """Nothing is held; the message says why."""


class HoldWithoutTime(HoldRefused, status=422, title="The hold has no time"):
    """It would have ended before it began."""


class NobodyToHold(HoldRefused, status=404, title="Nobody has this id"):
    """Neither an account nor an open erasure has it."""


class HolderSilent(HoldRefused, status=503, title="A service did not say what it holds"):
    """Whether the thing is there is not known, so nothing is promised about it."""

    headers: Mapping[str, str] = {"Retry-After": "5"}


@dataclass(frozen=True, kw_only=True)
class NewHold:
    """What is to be held: one record of a kind or all of it, why, who answers for it, and until when."""

    service: str
    kind: str
    record: UUID | None
    code: str
    legal_reference: str
    approver: str
    expires_at: datetime


async def place_hold(
    database: Database,
    inventories: Inventories | None,
    *,
    subject: UUID,
    wanted: NewHold,
    rules: AccountRules,
    officer: str | None = None,
) -> ErasureHold:
    """Place a hold and return it; `subject` is an account, or an erasure that is open or asked for.

    The service that has the thing is asked first, unless there is nobody to ask: what is not there, or can't
    be held, is refused with `HoldRefused`. A hold that says the same in every word is the first one; one
    that is about the same thing for the same reason, and differs in its end or its approver, is refused.
    `officer` is a keyed hash of who asked over HTTP; None where an operator's command did.
    """
    if wanted.expires_at <= database.clock.now():
        raise HoldWithoutTime("a hold needs an end that is still to come")
    async with database.read_only() as session:
        user_id = await Holds(session).person_of(subject)
    if user_id is None:
        raise NobodyToHold("no account and no open erasure has this id")
    hold_id = new_id()
    if inventories is not None:
        await _require_something(inventories, user_id, hold_id, wanted)
    async with database.unit_of_work() as uow:
        hold = await _place(uow, _NewRow(hold_id, user_id, wanted, officer), rules)
    if hold.id != hold_id:
        return hold
    log.info(
        "hold_placed",
        hold_id=str(hold_id),
        service=wanted.service,
        kind=wanted.kind,
        code=wanted.code,
        expires_at=wanted.expires_at.isoformat(),
        officer=officer,
    )
    return hold


@dataclass(frozen=True)
class _NewRow:
    """What becomes a hold."""

    id: UUID
    user_id: UUID
    wanted: NewHold
    officer: str | None


async def _place(uow: UnitOfWork, new: _NewRow, rules: AccountRules) -> ErasureHold:
    holds, now, user_id, wanted = Holds(uow.session), uow.now(), new.user_id, new.wanted
    # In the order in which everybody locks: the account, its erasure, and what hangs on that.
    there = await Users(uow.session).hold(user_id)
    erasure_id = await holds.lock_open_erasure(user_id)
    if not there and erasure_id is None:
        raise HoldRefused("the erasure was completed in this moment: nothing is left")
    if erasure_id is not None and await holds.has_finished(erasure_id, wanted.service):
        raise HoldRefused(f"{wanted.service} has erased everything of this person already")
    if same := next(filter(_wanted_again(wanted), await holds.in_force_about(user_id)), None):
        if (same.approver, same.expires_at) == (wanted.approver, wanted.expires_at):
            return same
        raise HoldRefused(f"hold {same.id} says the same, until {same.expires_at:%Y-%m-%d %H:%M} UTC")
    hold = ErasureHold(
        id=new.id,
        user_id=user_id,
        erasure_id=erasure_id,
        placed_at=now,
        placing_officer=new.officer,
        **vars(wanted),
    )
    holds.add(hold)
    await uow.session.flush()
    await tell_service(uow, hold, erasure_id=erasure_id, rules=rules)
    return hold


def _wanted_again(wanted: NewHold) -> Callable[[ErasureHold], bool]:
    """Return what tells whether a hold is about the same thing for the same reason."""
    said = {name: value for name, value in vars(wanted).items() if name not in {"approver", "expires_at"}}
    return lambda hold: all(getattr(hold, name) == value for name, value in said.items())


async def _require_something(inventories: Inventories, user_id: UUID, hold_id: UUID, wanted: NewHold) -> None:
    asked = Hold(hold_id, wanted.kind, wanted.record, wanted.expires_at)
    try:
        (told,) = await inventories.of(user_id, [wanted.service], holds={wanted.service: [asked]})
    except ParticipantSilent as silent:
        raise HolderSilent(f"{wanted.service} does not say what it has: {silent.detail}") from silent
    kinds = {it.kind: it for it in told.erased if it.holdable}
    if wanted.kind not in kinds:
        can = ", ".join(sorted(kinds)) or "nothing"
        raise HoldRefused(f"{wanted.kind} of {wanted.service} can't be held, but: {can}")
    if not kinds[wanted.kind].held:
        raise HoldRefused(f"{wanted.service} has no such {wanted.kind} of this person")
