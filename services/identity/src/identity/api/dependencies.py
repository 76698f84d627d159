"""What identity's routes share: the collaborators, the signed-in account, and the answers."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from pydantic import SecretStr

from chassis.auth import Principal
from chassis.callers import CurrentPrincipal, client_address
from chassis.problems import InvalidToken
from identity import schemas
from identity.addresses import AddressNotMailable, is_mailable
from identity.models import User
from identity.policy import FreshSignInNeeded, ip_prefix
from identity.repositories import Account, Sessions, Users
from identity.tokens import AuthorizedSession
from identity.use_cases.sessions.log_in import Device
from identity.wiring import Service

FRESH = timedelta(minutes=5)
"""How recent a sign-in must be that lets one change how the account is reached (ASVS 7.5.1)."""


async def current_service(request: Request) -> Service:
    """Return the collaborators of this process."""
    # Asynchronous, like all dependencies: the framework would call another in a thread, for every request.
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(current_service)]


async def signed_in(principal: CurrentPrincipal, service: CurrentService) -> Account:
    """Return the caller's account; raises `InvalidToken` when the session has ended.

    A token is good until it expires; the row says whether its session still is.
    """
    async with service.database.read_only() as session:
        found = await Users(session).signed_in(principal.user_id, principal.session_id)
    if found is None:
        raise InvalidToken
    user, known = found
    if principal.generation is not None and principal.generation > known:
        seen = (principal.session_id, principal.generation)
        await service.database.when_durable(lambda: _note_seen(service, seen))
    return user


async def _note_seen(service: Service, seen: tuple[UUID, int]) -> None:
    async with service.database.one_statement() as session:
        await Sessions(session).note_seen([seen])


async def current_device(request: Request) -> Device:
    """Return what the person's list of sessions will say about this device."""
    user_agent = request.headers.get("User-Agent")
    return Device(
        user_agent=user_agent[:200] if user_agent else None, ip_prefix=ip_prefix(client_address(request))
    )


CurrentDevice = Annotated[Device, Depends(current_device)]


async def new_password_hash(service: Service, password: SecretStr, *, email: str) -> str:
    """Return the hash of a password that somebody chose; raises `WeakPassword`."""
    return await service.hasher.hash_chosen(
        password.get_secret_value(), email=email, min_length=service.settings.password_min_length
    )


def require_mailable(service: Service, email: str) -> None:
    """Raise `AddressNotMailable` for a checked address that our mail server can't carry mail to."""
    if not is_mailable(email, smtp_utf8=service.settings.smtp_utf8):
        raise AddressNotMailable


SignedIn = Annotated[Account, Depends(signed_in)]


def require_fresh_sign_in(service: Service, principal: Principal, *, within: timedelta) -> None:
    """Raise `FreshSignInNeeded` when the caller signed in longer ago; a refresh is no sign-in."""
    if service.clock.now() - principal.authenticated_at > within:
        raise FreshSignInNeeded(within=within)


async def freshly_signed_in(principal: CurrentPrincipal, user: SignedIn, service: CurrentService) -> Account:
    """Return the caller's account; raises `FreshSignInNeeded` when the sign-in was too long ago."""
    require_fresh_sign_in(service, principal, within=FRESH)
    return user


FreshlySignedIn = Annotated[Account, Depends(freshly_signed_in)]


def user_read(user: User | Account) -> schemas.UserRead:
    """Return the account as its owner sees it."""
    return schemas.UserRead.model_validate(user, from_attributes=True)


def token_response(service: Service, authorized: AuthorizedSession) -> schemas.TokenResponse:
    """Return the session's tokens."""
    access_token, expires_in = service.tokens.access_token(authorized, now=service.clock.now())
    return schemas.TokenResponse(
        access_token=access_token,
        refresh_token=service.tokens.refresh_token(authorized.session),
        expires_in=expires_in,
    )
