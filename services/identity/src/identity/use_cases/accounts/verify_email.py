"""Confirm an address with the token of a mail."""

from chassis.db import UnitOfWork
from contracts.identity import UserVerified
from identity.addresses import email_key
from identity.mail.policy import CONFIRMATIONS, InvalidMailToken
from identity.models import MailToken, User
from identity.policy import EmailTaken
from identity.repositories import Mails, Users
from identity.tokens import capability_hash
from identity.use_cases.mail.lock_token_owner import lock_token_owner


async def verify_email(uow: UnitOfWork, *, token: str) -> User:
    """Confirm the address that the token's mail went to; a repeat changes nothing while that still holds.

    Raises `InvalidMailToken`, and `EmailTaken` when a new address was registered by somebody else meanwhile.
    """
    mails, users, token_hash = Mails(uow.session), Users(uow.session), capability_hash(token)
    now = uow.now()
    user = await lock_token_owner(uow, token_hash, purposes=CONFIRMATIONS)
    found = await mails.lock_token(token_hash, purposes=CONFIRMATIONS, now=now)
    if found is None:
        raise InvalidMailToken
    if found.used_at is not None:
        return _again(user, found)
    found.used_at, new = now, found.new_address
    if new is not None:
        if not await users.change_email(user, new, key=email_key(new)):
            raise EmailTaken
        # What was mailed to the old address, whose owner may be somebody else by now, opens nothing any more.
        await mails.drop_tokens(user.id, keep=token_hash)
    user.updated_at = now
    if not user.is_verified:
        user.is_verified = True
        uow.publish(UserVerified(user_id=user.id, verified_at=now))
    return user


def _again(user: User, used: MailToken) -> User:
    if not user.is_verified or used.new_address not in {None, user.email}:
        raise InvalidMailToken
    return user
