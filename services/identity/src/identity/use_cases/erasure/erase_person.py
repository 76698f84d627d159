"""How the account of a person, and what hangs on it, is erased."""

from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.faults import TransientFault
from identity.mail.policy import MailKind
from identity.repositories import Mails, Users


class FarewellNotSent(TransientFault):
    """The last mail to the person is still to be sent; without the account there would be no address."""


async def destroy_account(database: Database, user_id: UUID, *, farewell: timedelta) -> None:
    """Delete the account and all that hangs on it; harmless when repeated.

    Raises `FarewellNotSent` while the mail about the deletion has not left, for as long as `farewell`.
    """
    patience = database.clock.now() - farewell
    async with database.unit_of_work() as uow:
        waiting = await Mails(uow.session).has_unsettled(
            user_id, kind=MailKind.ACCOUNT_DELETED.value, since=patience
        )
        if waiting:
            raise FarewellNotSent
        await Users(uow.session).destroy(user_id)
