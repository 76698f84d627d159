"""Erase an account with the token of a mail."""

from datetime import timedelta

from chassis.db import UnitOfWork
from identity.account_rules import AccountRules
from identity.mail.policy import DELETIONS, InvalidMailToken
from identity.repositories import Mails
from identity.tokens import capability_hash
from identity.use_cases.erasure.begin_deletion import begin_deletion
from identity.use_cases.erasure.delete_account import Deletion
from identity.use_cases.mail.lock_token_owner import lock_token_owner


async def confirm_erasure(uow: UnitOfWork, *, token: str, rules: AccountRules, grace: timedelta) -> Deletion:
    """Use the token up and erase its account through the ordinary path; raises `InvalidMailToken`.

    Whoever has the mailbox may: with a reset of the password they could do the same.
    """
    token_hash = capability_hash(token)
    user = await lock_token_owner(uow, token_hash, purposes=DELETIONS)
    if await Mails(uow.session).take_token(token_hash, purposes=DELETIONS, now=uow.now()) is None:
        raise InvalidMailToken
    return await begin_deletion(uow, user_id=user.id, rules=rules, grace=grace)
