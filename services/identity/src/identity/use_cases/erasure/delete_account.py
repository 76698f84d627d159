"""Close an account and open its erasure, in one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from contracts.identity import UserDeleted
from contracts.topology import erasure_participants
from identity.mail.policy import MailKind
from identity.models import Erasure
from identity.repositories import Erasures, Mails, Participants, Users
from identity.tokens import capability_hash, new_capability
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere


@dataclass(frozen=True)
class Deletion:
    """What the person takes along: the only way to the erasure's status from now on."""

    erasure_id: UUID
    requested_at: datetime
    status_token: str


async def delete_account(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    now: datetime,
    deadline_days: int,
    token_lifetime: timedelta,
    farewell: bool = True,
) -> Deletion:
    """Disable the account, end its sessions, open the erasure and tell every participant.

    Without `farewell` no mail says so: its address is known to be somebody else's. Raises `Unauthorized` when
    the account is gone or its deletion has begun.
    """
    user = await Users(uow.session).lock(user_id)
    if user is None or user.erasure_id is not None:
        raise Unauthorized
    deletion = Deletion(erasure_id=new_id(), requested_at=now, status_token=new_capability())
    user.is_active, user.erasure_id, user.updated_at = False, deletion.erasure_id, now
    erasure = _erasure(deletion, user_id, deadline=now + timedelta(days=deadline_days))
    # Announcements add participants; the topology keeps one that has never started yet from being left out.
    announced = await Participants(uow.session).handling("erasure")
    Erasures(uow.session).open(erasure, sorted(announced | set(erasure_participants())))
    await Mails(uow.session).drop_tokens(user_id)
    if farewell:
        request_mail(uow, user_id=user_id, kind=MailKind.ACCOUNT_DELETED, now=now)
    uow.publish(
        UserDeleted(user_id=user_id, erasure_id=erasure.id, requested_at=now, deadline=erasure.deadline)
    )
    # Last, because revocations are written one transaction at a time: no other sign-out waits for the rest.
    await log_out_everywhere(
        uow, user_id=user_id, reason=RevocationReason.DELETION, now=now, token_lifetime=token_lifetime
    )
    return deletion


def _erasure(deletion: Deletion, user_id: UUID, *, deadline: datetime) -> Erasure:
    return Erasure(
        id=deletion.erasure_id,
        user_id=user_id,
        status_token_hash=capability_hash(deletion.status_token),
        requested_at=deletion.requested_at,
        deadline=deadline,
        asked_at=deletion.requested_at,
        times_asked=1,
    )
