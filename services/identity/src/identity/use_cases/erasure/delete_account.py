"""Close an account and open its erasure, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from contracts.topology import erasure_participants
from identity.account_rules import AccountRules
from identity.mail.policy import MailKind
from identity.repositories import Erasures, OpenErasure, Users
from identity.tokens import capability_hash, new_capability
from identity.use_cases.erasure.announce_erasure import announce_erasure
from identity.use_cases.erasure.ask_processors import ask_processors
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.end_session import announce_revocation


@dataclass(frozen=True)
class Deletion:
    """What the person takes along: the only way to the erasure's status from now on."""

    erasure_id: UUID
    requested_at: datetime
    status_token: str
    grace_until: datetime | None = None


async def delete_account(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    rules: AccountRules,
    farewell: bool = True,
) -> Deletion:
    """Disable the account, end its sessions, open the erasure and tell every participant.

    Without `farewell` no mail says so: its address is known to be somebody else's. Raises `Unauthorized` when
    the account is gone or its deletion has begun.
    """
    if not await Users(uow.session).hold(user_id):
        raise Unauthorized
    now = uow.now()
    deletion = Deletion(erasure_id=new_id(), requested_at=now, status_token=new_capability())
    erasure = OpenErasure(deletion.erasure_id, user_id, now, now + rules.erasure)
    token_hash = capability_hash(deletion.status_token)
    if not await open_erasure(uow, erasure, token_hash=token_hash, rules=rules, farewell=farewell):
        raise Unauthorized
    return deletion


async def open_erasure(
    uow: UnitOfWork,
    erasure: OpenErasure,
    *,
    token_hash: str,
    rules: AccountRules,
    farewell: bool,
    grace_until: datetime | None = None,
) -> bool:
    """Close the account and tell every participant; False when that was done before.

    The caller has locked the account; `grace_until` is how long the erasure waited for a change of mind.
    """
    reason, user_id = RevocationReason.DELETION, erasure.user_id
    closed = await Erasures(uow.session).close_account(
        erasure,
        token_hash=token_hash,
        services=(*erasure_participants(), *rules.processors),
        end=rules.session_end(reason, uow.now()),
        grace_until=grace_until,
    )
    if not closed.was_open:
        return False
    if farewell:
        request_mail(uow, MailKind.ACCOUNT_DELETED, user_id=user_id)
    ask_processors(uow, erasure, rules.processors)
    announce_erasure(uow, erasure._replace(holds=closed.holds))
    if closed.signed_out:
        announce_revocation(uow, user_id=user_id, session_id=None, reason=reason)
    return True
