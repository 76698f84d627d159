"""Open a frozen account again, with the token of the mail that said so."""

from chassis.db import UnitOfWork
from identity.mail.policy import InvalidMailToken, MailKind
from identity.repositories import DeletionRequests, Mails, Users
from identity.tokens import capability_hash

PURPOSES = (MailKind.DELETION_SCHEDULED,)


async def cancel_deletion(uow: UnitOfWork, *, token: str) -> None:
    """Use the token up: nothing is erased but what was destroyed at once, and the owner can sign in again.

    Raises `InvalidMailToken`, also when the erasure has begun.
    """
    mails, users, now = Mails(uow.session), Users(uow.session), uow.now()
    token_hash = capability_hash(token)
    owner = await mails.owner_of(token_hash, purposes=PURPOSES, now=now)
    # The account is locked before the token, as by all who make tokens useless: none waits in a circle.
    user = await users.lock(owner) if owner is not None else None
    used = await mails.take_token(token_hash, purposes=PURPOSES, now=now)
    if user is None or used is None or await DeletionRequests(uow.session).take(user.id) is None:
        raise InvalidMailToken
    # Every attempt to send that mail has made a link of its own.
    await mails.drop_tokens(user.id, kinds=PURPOSES)
    user.is_active, user.updated_at = True, now
