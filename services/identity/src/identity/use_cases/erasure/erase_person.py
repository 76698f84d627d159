"""Identity's own part in an erasure."""

from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.faults import TransientFault
from identity.mail.policy import MailKind
from identity.repositories import (
    AppleGrants,
    Mails,
    PasskeyChallenges,
    Passkeys,
    ProviderIdentities,
    Sessions,
    Users,
)
from identity.use_cases.providers.revoke_grants import GrantRevoker, revoke_grants


class FarewellNotSent(TransientFault):
    """The last mail to the person is still to be sent; without the account there would be no address."""


class IdentityHoldings:
    """What identity holds of a person: the account and what hangs on it, here and at Apple.

    Without a `revoker` an account with a grant of Apple can't be erased.
    """

    def __init__(
        self, database: Database, *, farewell: timedelta, revoker: GrantRevoker | None = None
    ) -> None:
        self._database = database
        self._revoker = revoker
        self._farewell = farewell

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what is held now, by kind."""
        async with self._database.unit_of_work() as uow:
            return {
                "accounts": await Users(uow.session).count(user_id),
                "sessions": await Sessions(uow.session).count(user_id),
                "mails": await Mails(uow.session).count(user_id),
                "passkeys": await Passkeys(uow.session).count(user_id),
                "passkey_challenges": await PasskeyChallenges(uow.session).count(user_id),
                "provider_identities": await ProviderIdentities(uow.session).count(user_id),
                "provider_grants": await AppleGrants(uow.session).count(user_id),
            }

    async def erase(self, user_id: UUID) -> None:
        """Revoke at Apple, then delete the account and all that hangs on it; harmless when repeated.

        Raises `FarewellNotSent` while the mail about the deletion has not left, for as long as that may take,
        and `ProviderUnavailable` while Apple can't be told.
        """
        if self._revoker is not None:
            await revoke_grants(self._database, self._revoker, user_id=user_id)
        patience = self._database.clock.now() - self._farewell
        async with self._database.unit_of_work() as uow:
            waiting = await Mails(uow.session).has_unsettled(
                user_id, kind=MailKind.ACCOUNT_DELETED.value, since=patience
            )
            if waiting:
                raise FarewellNotSent
            await Users(uow.session).destroy(user_id)
