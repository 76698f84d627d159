"""Forgetting: what no request can need any more."""

from datetime import timedelta

from chassis.db import Database
from identity.account_rules import AccountRules
from identity.repositories import (
    Mails,
    PasskeyChallenges,
    Revocations,
    Sessions,
    SpentTokens,
    StoredSigningKeys,
)

KEEP_ENDED_SESSIONS = timedelta(hours=72)


async def forget_expired(database: Database, rules: AccountRules, *, keep_keys: timedelta) -> None:
    """Delete such rows; a signing key ends `keep_keys` after its replacement, with its last token."""
    now = database.clock.now()
    async with database.unit_of_work() as uow:
        await Revocations(uow.session).forget()
        await Mails(uow.session).forget_old(now=now)
        await SpentTokens(uow.session).forget_expired(now=now)
        await PasskeyChallenges(uow.session).forget_expired(now=now)
        await StoredSigningKeys(uow.session).forget_replaced(before=now - keep_keys)
    before = now - KEEP_ENDED_SESSIONS
    last_live = rules.live_since(before)
    pruned = True
    while pruned:
        async with database.unit_of_work() as uow:
            pruned = bool(await Sessions(uow.session).prune(ended_before=before, last_live=last_live))
