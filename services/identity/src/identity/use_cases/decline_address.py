"""Say with the token of a mail that somebody else gave this address."""

from datetime import datetime, timedelta

from chassis.db import UnitOfWork
from identity.policy import InvalidMailToken
from identity.repositories import Mails, Users
from identity.tokens import capability_hash
from identity.use_cases.delete_account import delete_account
from identity.use_cases.verify_email import PURPOSES


async def decline_address(
    uow: UnitOfWork, *, token: str, now: datetime, deadline_days: int, token_lifetime: timedelta
) -> None:
    """Use the token up: an account whose address nobody has proved is erased, a change of address forgotten.

    Raises `InvalidMailToken`, also when the address is confirmed by now: then it is its owner's account.
    """
    found = await Mails(uow.session).take_token(capability_hash(token), purposes=PURPOSES, now=now)
    if found is None:
        raise InvalidMailToken
    if found.new_address is not None:
        return
    user = await Users(uow.session).lock(found.user_id)
    if user is None or not user.is_active or user.is_verified:
        raise InvalidMailToken
    await delete_account(
        uow,
        user_id=user.id,
        now=now,
        deadline_days=deadline_days,
        token_lifetime=token_lifetime,
        farewell=False,
    )
