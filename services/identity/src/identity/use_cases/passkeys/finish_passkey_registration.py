"""Add the passkey that a person's device has made."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database, UnitOfWork
from chassis.ids import new_id
from identity.mail.policy import MailKind
from identity.models import Passkey
from identity.passkeys.policy import (
    MOST_PASSKEYS,
    CeremonyPurpose,
    PasskeyKnown,
    PasskeyNotVerified,
    TooManyPasskeys,
    passkey_name,
)
from identity.passkeys.relying_party import (
    NewCredential,
    RelyingParty,
    UnverifiedAnswer,
    challenge_hash,
    challenge_of,
)
from identity.passkeys.schemas import RegistrationAnswer
from identity.repositories import PasskeyChallenges, Passkeys
from identity.use_cases.accounts.lock_account import lock_account
from identity.use_cases.mail.request_mail import request_mail


async def finish_passkey_registration(
    database: Database, *, relying_party: RelyingParty, user_id: UUID, answer: RegistrationAnswer
) -> Sequence[Passkey]:
    """Store the passkey, tell the person by mail, and return all that they have now.

    Raises `PasskeyNotVerified`, `PasskeyKnown`, `TooManyPasskeys`, and `Unauthorized` for a closed account.
    The challenge is used up in a transaction of its own, so that it is gone whatever comes after.
    """
    try:
        challenge = challenge_of(answer.response.client_data_json)
        async with database.unit_of_work() as uow:
            taken = await PasskeyChallenges(uow.session).take(
                challenge_hash(challenge), CeremonyPurpose.REGISTRATION, user_id=user_id, now=uow.now()
            )
        if not taken:
            raise PasskeyNotVerified
        made = relying_party.verify_registration(answer, challenge=challenge)
    except UnverifiedAnswer:
        raise PasskeyNotVerified from None
    async with database.unit_of_work() as uow:
        await _store(uow, user_id, made, answer)
        return await Passkeys(uow.session).of(user_id)


async def _store(uow: UnitOfWork, user_id: UUID, made: NewCredential, answer: RegistrationAnswer) -> None:
    await lock_account(uow, user_id)
    passkeys = Passkeys(uow.session)
    if await passkeys.count(user_id) >= MOST_PASSKEYS:
        raise TooManyPasskeys
    passkey = Passkey(
        id=new_id(),
        user_id=user_id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        transports=list(answer.response.transports),
        aaguid=made.aaguid,
        name=passkey_name(answer.name, made.aaguid),
        backed_up=made.backed_up,
        created_at=uow.now(),
    )
    # The unique index decides: a credential belongs to whoever registered it first (WebAuthn §7.1).
    if not await passkeys.add(passkey):
        raise PasskeyKnown
    request_mail(uow, MailKind.NEW_SIGN_IN_METHOD, user_id=user_id)
