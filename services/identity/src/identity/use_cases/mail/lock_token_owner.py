"""Find whose the token of a mail is."""

from collections.abc import Sequence

from chassis.db import UnitOfWork
from identity.mail.policy import InvalidMailToken
from identity.models import User
from identity.repositories import Mails, Users


async def lock_token_owner(uow: UnitOfWork, token_hash: str, *, purposes: Sequence[str]) -> User:
    """Return the active account that the token belongs to, locked; raises `InvalidMailToken`.

    The account is locked before the token, as by all who make tokens useless: none waits in a circle.
    """
    owner = await Mails(uow.session).owner_of(token_hash, purposes=purposes, now=uow.now())
    user = await Users(uow.session).lock(owner) if owner is not None else None
    if user is None or not user.is_active:
        raise InvalidMailToken
    return user
