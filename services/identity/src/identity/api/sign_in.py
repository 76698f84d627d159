"""Registering, signing in, refreshing, signing out."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Form
from pydantic import SecretStr

from chassis.auth import Principal
from chassis.callers import CurrentPrincipal
from chassis.counters import QuotaExceeded
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from identity import schemas
from identity.addresses import AddressNotMailable, email_key
from identity.api.dependencies import (
    CurrentDevice,
    CurrentService,
    SignedIn,
    new_password_hash,
    require_mailable,
    token_response,
    user_read,
)
from identity.policy import EmailTaken, InvalidCredentials, InvalidRefreshToken, WeakPassword
from identity.repositories import Sessions, Users
from identity.timing_floor import timing_floor
from identity.tokens import UnreadableRefreshToken
from identity.use_cases.accounts.conceal_registration import register_or_conceal
from identity.use_cases.accounts.register_user import register_user
from identity.use_cases.sessions.end_session import end_session
from identity.use_cases.sessions.log_in import Device, log_in
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere
from identity.use_cases.sessions.refresh_session import refresh_session
from identity.wiring import Service

CONCEALED_SECONDS = 0.05
"""Ten times what either way through a concealed sign-up takes beside the hash."""

SIGNED_OUT = schemas.MessageResponse(message="Signed out.")
SIGNED_OUT_EVERYWHERE = schemas.MessageResponse(message="Signed out on every device.")
SIGNED_OUT_ELSEWHERE = schemas.MessageResponse(message="Signed out on every other device.")

router = APIRouter(prefix="/api/v1/auth", tags=["identity"], route_class=IdempotentRoute)


@router.post(
    "/register",
    summary="Create an account",
    status_code=201,
    responses=problems(EmailTaken, WeakPassword, AddressNotMailable),
)
async def register(body: schemas.Registration, service: CurrentService) -> schemas.UserRead:
    """Create an account."""
    require_mailable(service, body.email)
    password_hash = await new_password_hash(service, body.password, email=body.email)
    if service.settings.registration_disclosure == "tell":
        async with service.unit_of_work() as uow:
            user = await register_user(uow, email=body.email, password_hash=password_hash)
    else:
        async with timing_floor(CONCEALED_SECONDS):
            # Counted whether or not there is an owner to tell, so that the answer takes as long.
            tell_owner = await service.limits.before_notice(body.email)
            async with service.unit_of_work() as uow:
                user = await register_or_conceal(
                    uow, email=body.email, password_hash=password_hash, tell_owner=tell_owner
                )
    return user_read(user)


@router.post(
    "/login",
    summary="Sign in with an OAuth2 password form",
    responses=problems(InvalidCredentials, QuotaExceeded),
)
async def login_with_form(
    service: CurrentService,
    device: CurrentDevice,
    username: Annotated[str, Form(min_length=1, max_length=320)],
    password: Annotated[SecretStr, Form(min_length=1, max_length=1024, examples=["seven blue irises"])],
) -> schemas.TokenResponse:
    """Sign in with an OAuth2 password form."""
    return await _login(service, device, username, password)


@router.post(
    "/login/json",
    summary="Sign in with an address and a password",
    responses=problems(InvalidCredentials, QuotaExceeded),
)
async def login_with_json(
    body: schemas.Credentials, service: CurrentService, device: CurrentDevice
) -> schemas.TokenResponse:
    """Sign in with a JSON body."""
    return await _login(service, device, body.email, body.password)


async def _login(service: Service, device: Device, email: str, password: SecretStr) -> schemas.TokenResponse:
    async def from_known_network() -> bool:
        here, live = device.ip_prefix, service.rules.live_since(service.clock.now())
        if here is None:
            return False
        async with service.database.read_only() as session:
            return await Sessions(session).is_open_in(here, live, email_key=email_key(email))

    await service.limits.before_login(email, device.ip_prefix, from_known_network=from_known_network)
    authorized = await log_in(
        service.database,
        hasher=service.hasher,
        email=email,
        password=password.get_secret_value(),
        device=device,
        rules=service.rules,
    )
    await service.database.when_durable(lambda: service.limits.after_login(email, device.ip_prefix))
    return token_response(service, authorized)


@router.post(
    "/refresh", summary="Exchange a refresh token for a new pair", responses=problems(InvalidRefreshToken)
)
async def refresh(body: schemas.RefreshRequest, service: CurrentService) -> schemas.TokenResponse:
    """Exchange a refresh token for a new pair."""
    try:
        claim = service.tokens.read_refresh_token(body.refresh_token.get_secret_value())
    except UnreadableRefreshToken:
        raise InvalidRefreshToken from None
    async with service.refreshes.hold(claim.session_id), service.unit_of_work() as uow:
        authorized = await refresh_session(uow, claim=claim, rules=service.rules)
    if authorized is None:
        raise InvalidRefreshToken
    return token_response(service, authorized)


@router.post("/logout", summary="Sign out", responses=example(SIGNED_OUT) | problems(Unauthorized))
async def logout(
    principal: CurrentPrincipal,
    user: SignedIn,
    service: CurrentService,
    body: Annotated[schemas.LogoutRequest | None, Body()] = None,
) -> schemas.MessageResponse:
    """End the session of the access token, and that of the refresh token when it is another one."""
    async with service.unit_of_work() as uow:
        for session_id in _sessions_to_end(service, principal, body):
            reason = RevocationReason.LOGOUT
            await end_session(uow, user_id=user.id, session_id=session_id, reason=reason, rules=service.rules)
    return SIGNED_OUT


def _sessions_to_end(
    service: Service, principal: Principal, body: schemas.LogoutRequest | None
) -> list[UUID]:
    own = principal.session_id
    if body is None or body.refresh_token is None:
        return [own]
    try:
        named = service.tokens.read_refresh_token(body.refresh_token.get_secret_value()).session_id
    except UnreadableRefreshToken:
        # A client that has lost its refresh token still means to leave.
        return [own]
    return sorted({own, named})


@router.post(
    "/logout-all",
    summary="Sign out on every device",
    responses=example(SIGNED_OUT_EVERYWHERE) | problems(Unauthorized),
)
async def logout_all(user: SignedIn, service: CurrentService) -> schemas.MessageResponse:
    """End every session of the person."""
    await _end_sessions(service, user.id, reason=RevocationReason.LOGOUT_ALL)
    return SIGNED_OUT_EVERYWHERE


@router.post(
    "/logout-others",
    summary="Sign out on every other device",
    responses=example(SIGNED_OUT_ELSEWHERE) | problems(Unauthorized),
)
async def logout_others(
    principal: CurrentPrincipal, user: SignedIn, service: CurrentService
) -> schemas.MessageResponse:
    """End every session of the person but the caller's."""
    await _end_sessions(service, user.id, reason=RevocationReason.ENDED_BY_USER, keep=principal.session_id)
    return SIGNED_OUT_ELSEWHERE


async def _end_sessions(
    service: Service, user_id: UUID, *, reason: RevocationReason, keep: UUID | None = None
) -> None:
    async with service.unit_of_work() as uow:
        await Users(uow.session).hold(user_id)
        await log_out_everywhere(uow, user_id=user_id, reason=reason, rules=service.rules, keep=keep)
