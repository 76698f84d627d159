"""Begin the erasures whose owners had time to change their minds, and did not."""

from datetime import timedelta
from uuid import UUID

from chassis.db import Database, UnitOfWork
from identity.account_rules import AccountRules
from identity.repositories import DeletionRequests, OpenErasure, Users
from identity.use_cases.erasure.delete_account import open_erasure
from identity.use_cases.erasure.freeze_account import announce_freeze

BATCH = 100
TELL_AGAIN = timedelta(hours=1)


async def end_graces(database: Database, *, rules: AccountRules) -> int:
    """Open the erasure of everybody whose grace is over; return of how many.

    Of those who still have time it is told again every hour that they are frozen: a message may get lost.
    """
    began = 0
    while True:
        async with database.read_only() as session:
            due = await DeletionRequests(session).due(now=database.clock.now(), limit=BATCH)
        for user_id in due:
            async with database.unit_of_work() as uow:
                began += await _end(uow, user_id, rules)
        if len(due) < BATCH:
            break
    while await _tell_again(database) == BATCH:
        continue
    return began


async def _end(uow: UnitOfWork, user_id: UUID, rules: AccountRules) -> bool:
    if not await Users(uow.session).hold(user_id):
        return False
    frozen = await DeletionRequests(uow.session).take(user_id)
    if frozen is None:
        # Its owner has canceled in this moment.
        return False
    erasure = OpenErasure(frozen.erasure_id, user_id, frozen.requested_at, frozen.deadline)
    return await open_erasure(
        uow,
        erasure,
        token_hash=frozen.status_token_hash,
        grace_until=frozen.grace_until,
        rules=rules,
        farewell=True,
    )


async def _tell_again(database: Database) -> int:
    async with database.unit_of_work() as uow:
        now = uow.now()
        frozen = await DeletionRequests(uow.session).tell_again(before=now - TELL_AGAIN, now=now, limit=BATCH)
        for account in frozen:
            announce_freeze(uow, account)
    return len(frozen)
