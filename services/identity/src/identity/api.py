"""Identity's routes."""

import asyncio
import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Form, Header, Query, Request
from pydantic import SecretStr

from chassis.auth import CurrentPrincipal, Principal
from chassis.problems import Unauthorized
from chassis.service_auth import require_service
from contracts.fields import RevocationReason
from contracts.topology import erasure_participants
from identity import schemas
from identity.models import Session, User
from identity.policy import ConfirmationMissing, InvalidRefreshToken
from identity.repositories import Erasures, Sessions, Users
from identity.tokens import UnreadableRefreshToken
from identity.use_cases.delete_account import delete_account
from identity.use_cases.log_in import log_in
from identity.use_cases.log_out import log_out
from identity.use_cases.log_out_everywhere import log_out_everywhere
from identity.use_cases.refresh_session import SessionLifetimes, refresh_session
from identity.use_cases.register_user import register_user
from identity.use_cases.show_erasure import show_erasure
from identity.wiring import Service

REVOCATION_POLL_SECONDS = 0.2
REVOCATION_PAGE = 1000

public = APIRouter(prefix="/api/v1")
root = APIRouter()
internal = APIRouter(prefix="/internal", include_in_schema=False)


def current_service(request: Request) -> Service:
    """Return the collaborators of this process."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(current_service)]


async def _signed_in(principal: CurrentPrincipal, service: CurrentService) -> User:
    # A token is good until it expires; the row says whether its session still is.
    async with service.unit_of_work() as uow:
        user = await Users(uow.session).signed_in(principal.user_id, principal.session_id)
    if user is None:
        raise Unauthorized
    return user


SignedIn = Annotated[User, Depends(_signed_in)]


@public.post("/auth/register", status_code=201, tags=["identity"])
async def register(body: schemas.Registration, service: CurrentService) -> schemas.UserRead:
    """Create an account."""
    password_hash = await service.hasher.hash(body.password.get_secret_value())
    async with service.unit_of_work() as uow:
        user = await register_user(
            uow, email=body.email, password_hash=password_hash, now=service.clock.now()
        )
    return _user_read(user)


@public.post("/auth/login", tags=["identity"])
async def login_with_form(
    service: CurrentService,
    username: Annotated[str, Form(max_length=320)],
    password: Annotated[SecretStr, Form(max_length=1024)],
) -> schemas.TokenResponse:
    """Sign in with an OAuth2 password form."""
    return await _login(service, username, password)


@public.post("/auth/login/json", tags=["identity"])
async def login_with_json(body: schemas.Credentials, service: CurrentService) -> schemas.TokenResponse:
    """Sign in with a JSON body."""
    return await _login(service, body.email, body.password)


async def _login(service: Service, email: str, password: SecretStr) -> schemas.TokenResponse:
    session = await log_in(
        service.database,
        hasher=service.hasher,
        clock=service.clock,
        email=email,
        password=password.get_secret_value(),
    )
    return _token_response(service, session)


@public.post("/auth/refresh", tags=["identity"])
async def refresh(body: schemas.RefreshRequest, service: CurrentService) -> schemas.TokenResponse:
    """Exchange a refresh token for a new pair."""
    try:
        claim = service.tokens.read_refresh_token(body.refresh_token.get_secret_value())
    except UnreadableRefreshToken:
        raise InvalidRefreshToken from None
    lifetimes = SessionLifetimes(
        idle=service.settings.refresh_idle,
        absolute=service.settings.refresh_absolute,
        repeat=service.settings.refresh_repeat,
        access_token=service.settings.access_token_lifetime,
    )
    session = await refresh_session(
        service.database, claim=claim, lifetimes=lifetimes, now=service.clock.now()
    )
    return _token_response(service, session)


@public.post("/auth/logout", tags=["identity"])
async def logout(
    principal: CurrentPrincipal,
    user: SignedIn,
    service: CurrentService,
    body: Annotated[schemas.LogoutRequest | None, Body()] = None,
) -> schemas.MessageResponse:
    """End the session of the access token, and that of the refresh token when it is another one."""
    async with service.unit_of_work() as uow:
        for session_id in _sessions_to_end(service, principal, body):
            await log_out(
                uow,
                user_id=user.id,
                session_id=session_id,
                now=service.clock.now(),
                token_lifetime=service.settings.access_token_lifetime,
            )
    return schemas.MessageResponse(message="Signed out.")


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


@public.post("/auth/logout-all", tags=["identity"])
async def logout_all(user: SignedIn, service: CurrentService) -> schemas.MessageResponse:
    """End every session of the person."""
    async with service.unit_of_work() as uow:
        await Users(uow.session).lock(user.id)
        await log_out_everywhere(
            uow,
            user_id=user.id,
            reason=RevocationReason.LOGOUT_ALL,
            now=service.clock.now(),
            token_lifetime=service.settings.access_token_lifetime,
        )
    return schemas.MessageResponse(message="Signed out on every device.")


@public.get("/users/me", tags=["identity"])
async def show_me(user: SignedIn) -> schemas.UserRead:
    """Show the caller's account."""
    return _user_read(user)


@public.delete("/users/me", tags=["identity"])
async def delete_me(
    user: SignedIn,
    service: CurrentService,
    body: Annotated[schemas.DeletionRequest | None, Body()] = None,
) -> schemas.DeletionResponse:
    """Close the account and erase everything that any service holds of the person."""
    if body is None or not body.confirm:
        raise ConfirmationMissing
    async with service.unit_of_work() as uow:
        deletion = await delete_account(
            uow,
            user_id=user.id,
            now=service.clock.now(),
            deadline_days=service.settings.erasure_deadline_days,
            token_lifetime=service.settings.access_token_lifetime,
        )
    return schemas.DeletionResponse(
        message="Your account is closed and everything in it is being erased. Keep the token: "
        "it shows you when the erasure is complete.",
        deleted_at=deletion.requested_at,
        erasure_id=deletion.erasure_id,
        status_url=f"{service.settings.public_url}/api/v1/privacy/erasures/{deletion.erasure_id}",
        status_token=deletion.status_token,
    )


@public.get("/privacy/erasures/{erasure_id}", tags=["erasure"])
async def erasure_status(
    erasure_id: UUID,
    service: CurrentService,
    header_token: Annotated[str, Header(alias="X-Erasure-Token", max_length=128)] = "",
    token: Annotated[str, Query(max_length=128)] = "",
) -> schemas.ErasureRead:
    """Show how far an erasure is; the status token of the deletion is the key."""
    async with service.unit_of_work() as uow:
        return await show_erasure(
            uow, erasure_id=erasure_id, token=header_token or token, now=service.clock.now()
        )


@root.get("/.well-known/jwks.json", tags=["identity"])
async def jwks(service: CurrentService) -> dict[str, Any]:
    """Publish the keys that verify access tokens."""
    return service.tokens.jwks()


@internal.get("/erasures")
async def open_erasures(
    service: CurrentService,
    caller: Annotated[str, Depends(require_service(*erasure_participants()))],
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> schemas.OpenErasurePage:
    """List the erasures that the calling participant has not reported."""
    async with service.unit_of_work() as uow:
        waiting = await Erasures(uow.session).waiting_for(
            caller, after=UUID(after) if after else None, limit=limit
        )
    items = [
        schemas.OpenErasureRead(
            erasure_id=erasure.id,
            user_id=erasure.user_id,
            requested_at=erasure.requested_at,
            deadline=erasure.deadline,
        )
        for erasure in waiting
        if erasure.user_id is not None
    ]
    return schemas.OpenErasurePage(items=items, next=str(waiting[-1].id) if len(waiting) == limit else "")


@internal.get("/session-revocations", dependencies=[Depends(require_service("gateway"))])
async def session_revocations(
    service: CurrentService,
    after: Annotated[int, Query(ge=0)] = 0,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> schemas.RevocationPage:
    """List the revocations after a position; waits up to `wait` seconds for the next one."""
    deadline = time.monotonic() + wait
    while True:
        async with service.unit_of_work() as uow:
            found = await Sessions(uow.session).revocations_after(
                after, now=service.clock.now(), limit=REVOCATION_PAGE
            )
        if found or time.monotonic() >= deadline:
            return schemas.RevocationPage(
                position=found[-1].position if found else after,
                revocations=[
                    schemas.RevocationRead(session_id=row.session_id, revoked_at=row.revoked_at)
                    for row in found
                ],
            )
        await asyncio.sleep(REVOCATION_POLL_SECONDS)


def _user_read(user: User) -> schemas.UserRead:
    return schemas.UserRead(
        id=user.id,
        email=user.email,
        is_active=user.is_active,
        is_verified=user.is_verified,
        created_at=user.created_at,
        auth_provider=user.auth_provider,
        updated_at=user.updated_at,
    )


def _token_response(service: Service, session: Session) -> schemas.TokenResponse:
    return schemas.TokenResponse(
        access_token=service.tokens.access_token(session, now=service.clock.now()),
        refresh_token=service.tokens.refresh_token(session),
        expires_in=service.tokens.lifetime_seconds,
    )
