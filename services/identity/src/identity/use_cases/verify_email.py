"""Confirm an address with the token of a mail."""

from datetime import datetime

from chassis.db import UnitOfWork
from contracts.identity import UserVerified
from identity.addresses import email_key
from identity.mail_kinds import MailKind
from identity.models import User
from identity.policy import EmailTaken, InvalidMailToken
from identity.repositories import Mails, Users
from identity.tokens import capability_hash

PURPOSES = (MailKind.VERIFY_ADDRESS.value, MailKind.CONFIRM_NEW_ADDRESS.value)


async def verify_email(uow: UnitOfWork, *, token: str, now: datetime) -> User:
    """Use the token up and confirm the address that its mail went to.

    Raises `InvalidMailToken`, and `EmailTaken` when a new address was registered by somebody else meanwhile.
    """
    found = await Mails(uow.session).take_token(capability_hash(token), purposes=PURPOSES, now=now)
    if found is None:
        raise InvalidMailToken
    users = Users(uow.session)
    user = await users.lock(found.user_id)
    if user is None or not user.is_active:
        raise InvalidMailToken
    new = found.new_address
    if new is not None:
        if not await users.change_email(user, new, key=email_key(new)):
            raise EmailTaken
        # What was mailed to the old address, whose owner may be somebody else by now, opens nothing any more.
        await Mails(uow.session).drop_tokens(user.id)
    user.updated_at = now
    if not user.is_verified:
        user.is_verified = True
        uow.publish(UserVerified(user_id=user.id, verified_at=now))
    return user
