"""End a person's consent to pictures because they asked to be erased, before anything else is erased."""

from uuid import UUID

from chassis.db import UnitOfWork
from consent.repositories import HeldGates
from consent.use_cases.withdraw_consent import close_withdrawn_gate
from contracts.fields import ConsentType


async def end_biometric_consent(uow: UnitOfWork, *, user_id: UUID) -> None:
    """Append and announce a withdrawal, so that what rested on the consent is destroyed; none without one.

    Raises `PersonErased`.
    """
    now = uow.now()
    held = await HeldGates(uow).hold(user_id, ConsentType.BIOMETRIC_CAPTURE, now=now, changes=1)
    until = held.gate.open_until
    if held.granted is not None and until is not None and until > now:
        await close_withdrawn_gate(uow, held.gate, held.granted)
