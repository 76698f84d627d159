"""Let a person at Apple or Google open an account."""

from uuid import UUID

import structlog

from chassis.db import Database, UnitOfWork
from chassis.ids import new_id
from chassis.problems import ServiceUnavailable
from identity.mail.policy import MailKind
from identity.models import ProviderIdentity, User
from identity.providers.apple_grants import ObtainedGrant
from identity.providers.policy import IdentityTokenRefused, ProviderAccountTaken
from identity.providers.tokens import LEEWAY, ProvenIdentity
from identity.repositories import AppleGrants, ProviderIdentities, SpentTokens
from identity.use_cases.accounts.lock_account import lock_account
from identity.use_cases.mail.request_mail import request_mail

ATTEMPTS = 3

log = structlog.get_logger(__name__)


class LostRace(Exception):
    """Somebody else created at this moment what this transaction was about to create; it is tried again."""


async def link_provider(
    database: Database, *, user_id: UUID, identity: ProvenIdentity, grant: ObtainedGrant | None
) -> None:
    """Add the provider to the account of a signed-in person; harmless when it is there.

    Raises `ProviderAccountTaken` when the person at the provider opens another account.
    """
    for _ in range(ATTEMPTS):
        try:
            async with database.unit_of_work() as uow:
                await spend_nonce(uow, identity)
                await _link(uow, user_id, identity, grant)
                return
        except LostRace:
            log.info("provider_link_repeated", provider=identity.provider.value)
    raise ServiceUnavailable


async def _link(
    uow: UnitOfWork, user_id: UUID, identity: ProvenIdentity, grant: ObtainedGrant | None
) -> None:
    identities = ProviderIdentities(uow.session)
    found = await identities.lock(identity.issuer, identity.subject)
    if found is not None and found[0].id != user_id:
        if found[0].erasure_id is None:
            raise ProviderAccountTaken
        await identities.unlink(found[1])
        found = None
    user = await lock_account(uow, user_id)
    await keep_grant(uow, user, grant)
    if found is None:
        await add_link(uow, user, identity)
        request_mail(uow, MailKind.NEW_SIGN_IN_METHOD, user_id=user.id)


async def add_link(uow: UnitOfWork, user: User, identity: ProvenIdentity) -> None:
    """Insert the link, in the caller's transaction; raises `LostRace` when another transaction was faster."""
    link = ProviderIdentity(
        id=new_id(),
        user_id=user.id,
        provider=identity.provider.value,
        issuer=identity.issuer,
        subject=identity.subject,
        private_relay=identity.private_relay,
        asserted_at=identity.issued_at,
        linked_at=uow.now(),
    )
    if not await ProviderIdentities(uow.session).add(link):
        raise LostRace


async def spend_nonce(uow: UnitOfWork, identity: ProvenIdentity) -> None:
    """Use the token's nonce up, if it has one; raises `IdentityTokenRefused` when it was used before.

    A token without a nonce promises no freshness: Google's libraries hand out the same one for an hour.
    """
    if identity.nonce is None:
        return
    spent = await SpentTokens(uow.session).spend(
        f"nonce {identity.provider.value}", identity.nonce, expires_at=identity.expires_at + LEEWAY
    )
    if not spent:
        raise IdentityTokenRefused


async def keep_grant(uow: UnitOfWork, user: User, grant: ObtainedGrant | None) -> None:
    """Store what Apple granted, sealed for this person."""
    if grant is not None:
        await AppleGrants(uow.session).keep(
            user_id=user.id,
            client_id=grant.client_id,
            sealed_token=grant.sealed_for(user.id),
            now=uow.now(),
        )
