"""Sign in, or register, with what Apple or Google says about a person."""

import structlog

from chassis.db import Database, UnitOfWork
from chassis.problems import ServiceUnavailable
from identity.account_rules import AccountRules
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.models import User
from identity.providers.apple_grants import ObtainedGrant
from identity.providers.policy import AddressUnproved, EmailNeeded, IdentityTokenRefused, SignInFirst
from identity.providers.tokens import ProvenIdentity
from identity.repositories import ProviderIdentities, Users
from identity.tokens import AuthorizedSession
from identity.use_cases.accounts.reclaim_account import reclaim_account
from identity.use_cases.accounts.register_user import create_account
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.providers.link_provider import ATTEMPTS, LostRace, add_link, keep_grant, spend_nonce
from identity.use_cases.sessions.log_in import Device, open_session

log = structlog.get_logger(__name__)


async def sign_in_with_provider(
    database: Database,
    *,
    identity: ProvenIdentity,
    grant: ObtainedGrant | None,
    device: Device,
    rules: AccountRules,
) -> AuthorizedSession:
    """Open a session of the account that `identity` opens, and create the account when there is none.

    Raises `SignInFirst`, `AddressUnproved`, `EmailNeeded` or `IdentityTokenRefused`. Of two first sign-ins at
    once the unique indexes let one create the account; the other is tried again and finds it.
    """
    for _ in range(ATTEMPTS):
        try:
            async with database.unit_of_work() as uow:
                await spend_nonce(uow, identity)
                user = await _account(uow, identity, rules)
                await keep_grant(uow, user, grant)
                if user.is_verified or not rules.proved_only:
                    return await open_session(uow, user.id, device=device, rules=rules)
            # Raised when the account is stored, so that its owner can confirm the address.
            raise AddressUnproved
        except LostRace:
            log.info("provider_sign_in_repeated", provider=identity.provider.value)
        except SignInFirst:
            raise (AddressUnproved if rules.proved_only else SignInFirst) from None
    raise ServiceUnavailable


async def _account(uow: UnitOfWork, identity: ProvenIdentity, rules: AccountRules) -> User:
    known = await _known_account(uow, identity)
    if known is not None:
        return known
    user = await _account_with_address(uow, identity)
    if user is None:
        user = await _new_account(uow, identity)
    elif user.is_verified:
        request_mail(uow, MailKind.NEW_SIGN_IN_METHOD, user_id=user.id)
    else:
        email = identity.email or user.email
        anew = await reclaim_account(uow, user, email=email, provider=identity.provider, rules=rules)
        user = await _locked(uow, anew)
    await add_link(uow, user, identity)
    return user


async def _known_account(uow: UnitOfWork, identity: ProvenIdentity) -> User | None:
    identities = ProviderIdentities(uow.session)
    found = await identities.lock(identity.issuer, identity.subject)
    if found is None:
        return None
    user, link = found
    if user.erasure_id is not None:
        # Who comes back while their old account is still being erased starts anew, as with an address.
        await identities.unlink(link)
        return None
    if not user.is_active:
        raise IdentityTokenRefused
    link.asserted_at = max(link.asserted_at, identity.issued_at)
    link.private_relay = identity.private_relay or link.private_relay
    return user


async def _account_with_address(uow: UnitOfWork, identity: ProvenIdentity) -> User | None:
    """Return the account that has the provider's address, if the provider proves whose that is."""
    if identity.email is None:
        return None
    user = await ProviderIdentities(uow.session).lock_account_with(email_key(identity.email))
    if user is None:
        return None
    if not user.is_active:
        raise IdentityTokenRefused
    if not identity.email_proved:
        raise SignInFirst
    return user


async def _new_account(uow: UnitOfWork, identity: ProvenIdentity) -> User:
    if identity.email is None:
        raise EmailNeeded
    fresh = await create_account(
        uow, email=identity.email, provider=identity.provider, verified=identity.email_proved
    )
    user = await _locked(uow, fresh)
    if not user.is_verified:
        request_mail(uow, MailKind.VERIFY_ADDRESS, user_id=user.id)
    return user


async def _locked(uow: UnitOfWork, fresh: User | None) -> User:
    user = await Users(uow.session).lock(fresh.id) if fresh is not None else None
    if user is None:
        raise LostRace
    return user
