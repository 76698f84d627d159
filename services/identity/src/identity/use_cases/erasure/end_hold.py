"""End a hold, because its time is over or an operator releases it; the erasure goes on by itself."""

from uuid import UUID

import structlog

from chassis.db import Database, UnitOfWork
from identity.account_rules import AccountRules
from identity.repositories import Holds, Release, Users
from identity.use_cases.erasure.tell_service import tell_service

BATCH = 100

log = structlog.get_logger(__name__)


async def end_hold(
    uow: UnitOfWork,
    hold_id: UUID,
    *,
    rules: AccountRules,
    released_by: str | None = None,
    reason: str | None = None,
    officer: str | None = None,
) -> bool:
    """End the hold; False when there is none in force. A release says by whom, and why.

    `officer` is a keyed hash of who asked over HTTP.
    """
    holds = Holds(uow.session)
    hold = await holds.find(hold_id)
    if hold is None or hold.user_id is None:
        return False
    # In the order in which everybody locks: the account, its erasure, and what hangs on that.
    await Users(uow.session).hold(hold.user_id)
    erasure_id = await holds.lock_open_erasure(hold.user_id)
    release = Release(released_by, reason, officer) if released_by and reason else None
    if not await holds.end(hold_id, now=uow.now(), release=release):
        return False
    log.info(
        "hold_ended",
        hold_id=str(hold_id),
        service=hold.service,
        released=release is not None,
        officer=officer,
    )
    if ended := await holds.find(hold_id):
        await tell_service(uow, ended, erasure_id=erasure_id, rules=rules)
    return True


async def end_expired_holds(database: Database, *, rules: AccountRules) -> int:
    """End every hold whose time is over; return how many."""
    ended = 0
    while True:
        async with database.read_only() as session:
            due = await Holds(session).expired(now=database.clock.now(), limit=BATCH)
        for hold_id in due:
            async with database.unit_of_work() as uow:
                ended += await end_hold(uow, hold_id, rules=rules)
        if len(due) < BATCH:
            return ended
