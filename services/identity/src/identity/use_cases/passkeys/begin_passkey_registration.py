"""Ask a person's device for a new passkey."""

import secrets
from uuid import UUID

from chassis.db import UnitOfWork
from identity.models import PasskeyChallenge
from identity.passkeys.policy import CEREMONY_TIME, MOST_PASSKEYS, CeremonyPurpose, TooManyPasskeys
from identity.passkeys.relying_party import OptionsJson, RelyingParty, challenge_hash
from identity.repositories import PasskeyChallenges, Passkeys
from identity.use_cases.accounts.lock_account import lock_account

CHALLENGE_BYTES = 32


async def begin_passkey_registration(
    uow: UnitOfWork, *, relying_party: RelyingParty, user_id: UUID
) -> OptionsJson:
    """Return the creation options; raises `TooManyPasskeys`, and `Unauthorized` for a closed account.

    The handle that the device keeps is the account's id: random enough to tell nothing about the person,
    and gone with the account.
    """
    user = await lock_account(uow, user_id)
    known = await Passkeys(uow.session).of(user_id)
    if len(known) >= MOST_PASSKEYS:
        raise TooManyPasskeys
    challenge = open_ceremony(uow, CeremonyPurpose.REGISTRATION, user_id=user_id)
    return relying_party.creation_options(
        challenge=challenge, user_handle=user_id.bytes, user_name=user.email, known=known
    )


def open_ceremony(uow: UnitOfWork, purpose: CeremonyPurpose, *, user_id: UUID | None) -> bytes:
    """Return a fresh challenge and remember what it is for."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    PasskeyChallenges(uow.session).add(
        PasskeyChallenge(
            challenge_hash=challenge_hash(challenge),
            user_id=user_id,
            purpose=purpose.value,
            expires_at=uow.now() + CEREMONY_TIME,
        )
    )
    return challenge
