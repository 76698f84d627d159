"""Say with the token of a mail that somebody else gave this address."""

from chassis.db import UnitOfWork
from identity.account_rules import AccountRules
from identity.mail.policy import CONFIRMATIONS, InvalidMailToken
from identity.repositories import Mails
from identity.tokens import capability_hash
from identity.use_cases.erasure.delete_account import delete_account
from identity.use_cases.mail.lock_token_owner import lock_token_owner


async def decline_address(uow: UnitOfWork, *, token: str, rules: AccountRules) -> None:
    """Use the token up: an account whose address nobody has proved is erased, a change of address forgotten.

    Raises `InvalidMailToken`, also when the address is confirmed by now: then it is its owner's account.
    """
    token_hash = capability_hash(token)
    user = await lock_token_owner(uow, token_hash, purposes=CONFIRMATIONS)
    found = await Mails(uow.session).take_token(token_hash, purposes=CONFIRMATIONS, now=uow.now())
    if found is None:
        raise InvalidMailToken
    if found.new_address is not None:
        return
    if user.is_verified:
        raise InvalidMailToken
    await delete_account(uow, user_id=user.id, rules=rules, farewell=False)
