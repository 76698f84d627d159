"""Count what opens an account."""

from chassis.db import UnitOfWork
from identity.models import User
from identity.repositories import Passkeys, ProviderIdentities


async def count_sign_in_methods(uow: UnitOfWork, user: User) -> int:
    """Return how many ways lead into the account: its password, its passkeys, and people at providers.

    The caller has locked the account. Whoever takes a way in asks here, so that nobody is locked out.
    """
    password = 1 if user.password_hash is not None else 0
    passkeys = await Passkeys(uow.session).count(user.id)
    return password + passkeys + await ProviderIdentities(uow.session).count(user.id)
