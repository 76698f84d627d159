"""Begin a deletion that a person has asked for: with a grace where one is set, else at once."""

from datetime import timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from identity.account_rules import AccountRules
from identity.repositories import Holds, Users
from identity.use_cases.erasure.delete_account import Deletion, delete_account
from identity.use_cases.erasure.freeze_account import freeze_account


async def begin_deletion(
    uow: UnitOfWork, *, user_id: UUID, rules: AccountRules, grace: timedelta
) -> Deletion:
    """Close the account; raises `Unauthorized` when it is gone or closed.

    A grace begins with a withdrawal, which destroys pictures and knows no hold. So who is held of has no
    grace: the erasure is opened, and takes its holds along.
    """
    if not grace:
        return await delete_account(uow, user_id=user_id, rules=rules)
    # Nobody places a hold from here on: that needs the account as well.
    await Users(uow.session).hold(user_id)
    if await Holds(uow.session).in_force_about(user_id):
        return await delete_account(uow, user_id=user_id, rules=rules)
    return await freeze_account(uow, user_id=user_id, rules=rules, grace=grace)
