"""Tell the service that has a thing that a hold of it was placed or has ended."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.identity import HoldChanged
from identity.account_rules import AccountRules
from identity.models import ErasureHold
from identity.use_cases.erasure.resume_erasure import resume_erasure


async def tell_service(
    uow: UnitOfWork, hold: ErasureHold, *, erasure_id: UUID | None, rules: AccountRules
) -> None:
    """Announce the hold by itself, or with the request to erase where there is one already."""
    if erasure_id is not None:
        await resume_erasure(uow, erasure_id, service=hold.service, rules=rules)
    elif hold.user_id is not None:
        uow.publish(
            HoldChanged(
                user_id=hold.user_id,
                hold_id=hold.id,
                service=hold.service,
                kind=hold.kind,
                record=hold.record,
                expires_at=hold.expires_at,
                ended_at=hold.ended_at,
            )
        )
