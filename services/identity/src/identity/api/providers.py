"""Signing in with Apple and Google, and Apple's notices."""

from fastapi import APIRouter
from pydantic import SecretStr

from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import Unauthorized
from identity import schemas
from identity.api.dependencies import CurrentDevice, CurrentService, FreshlySignedIn, token_response
from identity.policy import FreshSignInNeeded
from identity.providers.apple_grants import ObtainedGrant
from identity.providers.problems import (
    EmailNeeded,
    IdentityTokenRefused,
    NoticeRefused,
    ProviderAccountTaken,
    ProviderNotOffered,
    SignInFirst,
)
from identity.providers.tokens import ProvenIdentity
from identity.use_cases.follow_apple_notice import follow_apple_notice
from identity.use_cases.link_provider import link_provider
from identity.use_cases.log_in import Device
from identity.use_cases.sign_in_with_provider import sign_in_with_provider
from identity.wiring import Service

_SIGN_IN = problems(IdentityTokenRefused, ProviderNotOffered, SignInFirst, EmailNeeded)
_LINK = problems(
    Unauthorized, IdentityTokenRefused, FreshSignInNeeded, ProviderNotOffered, ProviderAccountTaken
)

router = APIRouter(prefix="/api/v1/auth", tags=["identity"], route_class=IdempotentRoute)


@router.post("/apple", responses=_SIGN_IN)
async def sign_in_with_apple(
    body: schemas.AppleSignIn, service: CurrentService, device: CurrentDevice
) -> schemas.TokenResponse:
    """Sign in, or register, with the identity token of Sign in with Apple."""
    identity, grant = await _apple(service, body)
    return await _sign_in(service, device, identity, grant)


@router.post("/google", responses=_SIGN_IN)
async def sign_in_with_google(
    body: schemas.GoogleSignIn, service: CurrentService, device: CurrentDevice
) -> schemas.TokenResponse:
    """Sign in, or register, with the id_token of Sign in with Google."""
    return await _sign_in(service, device, await _google(service, body), None)


@router.post("/apple/link", responses=_LINK)
async def link_apple(
    body: schemas.AppleSignIn, user: FreshlySignedIn, service: CurrentService
) -> schemas.MessageResponse:
    """Let Sign in with Apple open the caller's account too; needs a sign-in of the last five minutes."""
    identity, grant = await _apple(service, body)
    await link_provider(
        service.database, user_id=user.id, identity=identity, grant=grant, now=service.clock.now()
    )
    return schemas.MessageResponse(message="You can now sign in with Apple.")


@router.post("/google/link", responses=_LINK)
async def link_google(
    body: schemas.GoogleSignIn, user: FreshlySignedIn, service: CurrentService
) -> schemas.MessageResponse:
    """Let Sign in with Google open the caller's account too; needs a sign-in of the last five minutes."""
    identity = await _google(service, body)
    await link_provider(
        service.database, user_id=user.id, identity=identity, grant=None, now=service.clock.now()
    )
    return schemas.MessageResponse(message="You can now sign in with Google.")


@router.post("/apple/notifications", responses=problems(NoticeRefused, ProviderNotOffered))
async def receive_apple_notification(
    body: schemas.AppleNotification, service: CurrentService
) -> schemas.MessageResponse:
    """Take a notice of Apple's server about a person; one that was taken before changes nothing."""
    now = service.clock.now()
    notice = await service.providers.apple_notices.read(body.payload.get_secret_value(), now=now)
    async with service.unit_of_work() as uow:
        await follow_apple_notice(
            uow,
            notice,
            now=now,
            deadline_days=service.settings.erasure_deadline_days,
            token_lifetime=service.settings.access_token_lifetime,
        )
    return schemas.MessageResponse(message="The notice was taken.")


async def _apple(service: Service, body: schemas.AppleSignIn) -> tuple[ProvenIdentity, ObtainedGrant | None]:
    providers = service.providers
    identity = await providers.apple.verify(body.identity_token.get_secret_value(), nonce=_text(body.nonce))
    code = _text(body.authorization_code)
    return identity, await providers.apple_grants.obtain(code, identity) if code is not None else None


async def _google(service: Service, body: schemas.GoogleSignIn) -> ProvenIdentity:
    return await service.providers.google.verify(body.id_token.get_secret_value(), nonce=_text(body.nonce))


async def _sign_in(
    service: Service, device: Device, identity: ProvenIdentity, grant: ObtainedGrant | None
) -> schemas.TokenResponse:
    session = await sign_in_with_provider(
        service.database,
        identity=identity,
        grant=grant,
        device=device,
        now=service.clock.now(),
        token_lifetime=service.settings.access_token_lifetime,
    )
    return token_response(service, session)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
