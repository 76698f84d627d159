"""Sign in with a passkey."""

import structlog

from chassis.db import Database, UnitOfWork
from identity.account_rules import AccountRules
from identity.models import Passkey, User
from identity.passkeys.policy import CeremonyPurpose, PasskeyRefused, counter_went_back
from identity.passkeys.relying_party import (
    Assertion,
    RelyingParty,
    UnverifiedAnswer,
    challenge_hash,
    challenge_of,
)
from identity.passkeys.schemas import AuthenticationAnswer
from identity.repositories import PasskeyChallenges, Passkeys, Users
from identity.tokens import AuthorizedSession
from identity.use_cases.sessions.log_in import Device, open_session

log = structlog.get_logger(__name__)


async def finish_passkey_sign_in(
    database: Database,
    *,
    relying_party: RelyingParty,
    answer: AuthenticationAnswer,
    device: Device,
    rules: AccountRules,
) -> AuthorizedSession:
    """Open a session; raises `PasskeyRefused`, whatever the reason is.

    The challenge is used up in a transaction of its own, so that it is gone whatever comes after.
    """
    try:
        challenge = challenge_of(answer.response.client_data_json)
        passkey = await _claim(database, challenge, answer)
        said = relying_party.verify_sign_in(answer, challenge=challenge, public_key=passkey.public_key)
    except UnverifiedAnswer:
        raise PasskeyRefused from None
    async with database.unit_of_work() as uow:
        user = await _admitted(uow, passkey, said)
        if rules.proved_only and not user.is_verified:
            raise PasskeyRefused
        return await open_session(uow, user.id, device=device, rules=rules)


async def _claim(database: Database, challenge: bytes, answer: AuthenticationAnswer) -> Passkey:
    async with database.unit_of_work() as uow:
        taken = await PasskeyChallenges(uow.session).take(
            challenge_hash(challenge), CeremonyPurpose.SIGN_IN, user_id=None, now=uow.now()
        )
        passkey = await Passkeys(uow.session).with_credential(answer.raw_id) if taken else None
    # Nobody was named before, so the handle is what says whose passkey this means to be (WebAuthn §7.2).
    if passkey is None or answer.response.user_handle != passkey.user_id.bytes:
        raise PasskeyRefused
    return passkey


async def _admitted(uow: UnitOfWork, passkey: Passkey, said: Assertion) -> User:
    # Account before passkey: everything that locks both does it in this order, so none waits in a circle.
    user = await Users(uow.session).lock(passkey.user_id)
    current = await Passkeys(uow.session).lock(passkey.id)
    if user is None or not user.is_active or current is None:
        raise PasskeyRefused
    if counter_went_back(stored=current.sign_count, reported=said.sign_count):
        log.warning("passkey_counter_went_back", passkey_id=str(current.id))
        raise PasskeyRefused
    current.sign_count, current.backed_up, current.last_used_at = said.sign_count, said.backed_up, uow.now()
    return user
