"""Ask whoever is there for a passkey."""

from chassis.db import UnitOfWork
from identity.passkeys.policy import CeremonyPurpose
from identity.passkeys.relying_party import OptionsJson, RelyingParty
from identity.use_cases.passkeys.begin_passkey_registration import open_ceremony


async def begin_passkey_sign_in(uow: UnitOfWork, *, relying_party: RelyingParty) -> OptionsJson:
    """Return the request options: alike for everybody, because nobody has said who they are."""
    return relying_party.request_options(challenge=open_ceremony(uow, CeremonyPurpose.SIGN_IN, user_id=None))
