"""Signing in with Apple and Google, and Apple's notices."""

from dataclasses import replace

from fastapi import APIRouter
from pydantic import SecretStr

from chassis.auth import Principal
from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import NotFound, Unauthorized
from contracts.fields import AuthProvider
from identity import schemas
from identity.addresses import is_mailable
from identity.api.dependencies import (
    CurrentDevice,
    CurrentService,
    FreshlySignedIn,
    SignedIn,
    token_response,
)
from identity.policy import FreshSignInNeeded, LastWayIn
from identity.providers.apple_grants import ObtainedGrant
from identity.providers.policy import (
    AddressUnproved,
    EmailNeeded,
    IdentityTokenRefused,
    NoticeRefused,
    ProviderAccountTaken,
    ProviderNotOffered,
    SignInFirst,
)
from identity.providers.schemas import (
    AppleNotification,
    AppleSignIn,
    GoogleSignIn,
    ProviderList,
    ProviderRead,
)
from identity.providers.tokens import ProvenIdentity
from identity.repositories import Account, ProviderIdentities
from identity.use_cases.providers.follow_apple_notice import follow_apple_notice
from identity.use_cases.providers.link_provider import link_provider
from identity.use_cases.providers.sign_in_with_provider import sign_in_with_provider
from identity.use_cases.providers.unlink_provider import unlink_provider
from identity.use_cases.sessions.log_in import Device
from identity.wiring import Service

_SIGN_IN = problems(IdentityTokenRefused, ProviderNotOffered, SignInFirst, EmailNeeded, AddressUnproved)
_LINK = problems(
    Unauthorized, IdentityTokenRefused, FreshSignInNeeded, ProviderNotOffered, ProviderAccountTaken
)
_UNLINK = problems(Unauthorized, FreshSignInNeeded, NotFound, LastWayIn)

APPLE_LINKED = schemas.MessageResponse(message="You can now sign in with Apple.")
GOOGLE_LINKED = schemas.MessageResponse(message="You can now sign in with Google.")
NOTICE_TAKEN = schemas.MessageResponse(message="The notice was taken.")

router = APIRouter(prefix="/api/v1/auth", tags=["identity"], route_class=IdempotentRoute)


@router.post("/apple", summary="Sign in, or register, with Apple", responses=_SIGN_IN)
async def sign_in_with_apple(
    body: AppleSignIn, service: CurrentService, device: CurrentDevice
) -> schemas.TokenResponse:
    """Sign in, or register, with the identity token of Sign in with Apple."""
    identity, grant = await _apple(service, body)
    return await _sign_in(service, device, identity, grant)


@router.post("/google", summary="Sign in, or register, with Google", responses=_SIGN_IN)
async def sign_in_with_google(
    body: GoogleSignIn, service: CurrentService, device: CurrentDevice
) -> schemas.TokenResponse:
    """Sign in, or register, with the id_token of Sign in with Google."""
    return await _sign_in(service, device, await _google(service, body), None)


@router.post("/apple/link", summary="Let Apple open the account too", responses=example(APPLE_LINKED) | _LINK)
async def link_apple(
    body: AppleSignIn, user: FreshlySignedIn, service: CurrentService
) -> schemas.MessageResponse:
    """Let Sign in with Apple open the caller's account too; needs a sign-in of the last five minutes."""
    identity, grant = await _apple(service, body)
    await link_provider(service.database, user_id=user.id, identity=identity, grant=grant)
    return APPLE_LINKED


@router.post(
    "/google/link", summary="Let Google open the account too", responses=example(GOOGLE_LINKED) | _LINK
)
async def link_google(
    body: GoogleSignIn, user: FreshlySignedIn, service: CurrentService
) -> schemas.MessageResponse:
    """Let Sign in with Google open the caller's account too; needs a sign-in of the last five minutes."""
    identity = await _google(service, body)
    await link_provider(service.database, user_id=user.id, identity=identity, grant=None)
    return GOOGLE_LINKED


@router.get(
    "/providers", summary="List the providers that open the account", responses=problems(Unauthorized)
)
async def list_providers(user: SignedIn, service: CurrentService) -> ProviderList:
    """List the providers that open the caller's account."""
    async with service.database.read_only() as session:
        links = await ProviderIdentities(session).of(user.id)
    return ProviderList(
        providers=[ProviderRead(provider=link.provider, linked_at=link.linked_at) for link in links]
    )


@router.delete(
    "/apple/link", summary="Let Apple open the account no longer", status_code=204, responses=_UNLINK
)
async def unlink_apple(principal: CurrentPrincipal, user: FreshlySignedIn, service: CurrentService) -> None:
    """Let Sign in with Apple open the account no longer; ends every other session.

    Needs a sign-in of the last five minutes.
    """
    await _unlink(service, principal, user, AuthProvider.APPLE)


@router.delete(
    "/google/link", summary="Let Google open the account no longer", status_code=204, responses=_UNLINK
)
async def unlink_google(principal: CurrentPrincipal, user: FreshlySignedIn, service: CurrentService) -> None:
    """Let Sign in with Google open the account no longer; ends every other session.

    Needs a sign-in of the last five minutes.
    """
    await _unlink(service, principal, user, AuthProvider.GOOGLE)


@router.post(
    "/apple/notifications",
    summary="Take a notice of Apple's server",
    responses=example(NOTICE_TAKEN) | problems(NoticeRefused, ProviderNotOffered),
)
async def receive_apple_notification(
    body: AppleNotification, service: CurrentService
) -> schemas.MessageResponse:
    """Take a notice of Apple's server about a person; one that was taken before changes nothing."""
    payload, now = body.payload.get_secret_value(), service.clock.now()
    notice = await service.providers.apple_notices.read(payload, now=now)
    async with service.unit_of_work() as uow:
        await follow_apple_notice(uow, notice, rules=service.rules)
    return NOTICE_TAKEN


async def _apple(service: Service, body: AppleSignIn) -> tuple[ProvenIdentity, ObtainedGrant | None]:
    providers = service.providers
    identity = await providers.apple.verify(body.identity_token.get_secret_value(), nonce=_text(body.nonce))
    code = _text(body.authorization_code)
    return identity, await providers.apple_grants.obtain(code, identity) if code is not None else None


async def _google(service: Service, body: GoogleSignIn) -> ProvenIdentity:
    return await service.providers.google.verify(body.id_token.get_secret_value(), nonce=_text(body.nonce))


async def _sign_in(
    service: Service, device: Device, identity: ProvenIdentity, grant: ObtainedGrant | None
) -> schemas.TokenResponse:
    if identity.email is not None and not is_mailable(identity.email, smtp_utf8=service.settings.smtp_utf8):
        identity = replace(identity, email=None, email_proved=False)
    authorized = await sign_in_with_provider(
        service.database,
        identity=identity,
        grant=grant,
        device=device,
        rules=service.rules,
    )
    return token_response(service, authorized)


async def _unlink(service: Service, principal: Principal, user: Account, provider: AuthProvider) -> None:
    async with service.unit_of_work() as uow:
        await unlink_provider(
            uow,
            user_id=user.id,
            session_id=principal.session_id,
            provider=provider,
            rules=service.rules,
        )


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
