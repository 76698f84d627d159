"""Begin an erasure again that the erasure journal knows, and the restored rows don't."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.topology import erasure_participants
from identity.account_rules import AccountRules
from identity.repositories import Erasures, OpenErasure
from identity.tokens import capability_hash, new_capability
from identity.use_cases.erasure.announce_erasure import announce_erasure
from identity.use_cases.sessions.end_session import announce_revocation


async def reopen_erasure(uow: UnitOfWork, *, user_id: UUID, erasure_id: UUID, rules: AccountRules) -> None:
    """Close the account and tell every participant, whose own rows may have come back as well.

    The person's status token is lost with the rows. An erasure that is open in the restored rows goes on as
    it is.
    """
    now, reason = uow.now(), RevocationReason.DELETION
    erasure = OpenErasure(erasure_id, user_id, now, now + rules.erasure)
    closed = await Erasures(uow.session).close_account(
        erasure,
        token_hash=capability_hash(new_capability()),
        services=erasure_participants(),
        end=rules.session_end(reason, now),
    )
    if not closed.was_open:
        return
    announce_erasure(uow, erasure._replace(holds=closed.holds))
    if closed.signed_out:
        announce_revocation(uow, user_id=user_id, session_id=None, reason=reason)
