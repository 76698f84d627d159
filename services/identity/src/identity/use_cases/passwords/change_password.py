"""Change the password of a signed-in person; every other session ends."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from identity.mail.policy import MailKind
from identity.repositories import Mails, Users
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere


async def change_password(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    session_id: UUID,
    verified_hash: str | None,
    new_hash: str,
    now: datetime,
    token_lifetime: timedelta,
) -> None:
    """Store the new hash, if the password that was checked is still the stored one; raises `Unauthorized`."""
    user = await Users(uow.session).lock(user_id)
    if user is None or not user.is_active or user.password_hash != verified_hash:
        raise Unauthorized
    user.password_hash, user.updated_at = new_hash, now
    await Mails(uow.session).drop_tokens(user_id)
    await log_out_everywhere(
        uow,
        user_id=user_id,
        reason=RevocationReason.PASSWORD_CHANGE,
        now=now,
        token_lifetime=token_lifetime,
        keep=session_id,
    )
    request_mail(uow, user_id=user_id, kind=MailKind.PASSWORD_CHANGED, now=now)
