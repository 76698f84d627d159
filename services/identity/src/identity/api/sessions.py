"""The person's signed-in devices, and the password that guards them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from chassis.callers import CurrentPrincipal
from chassis.counters import QuotaExceeded
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import NotFound, Unauthorized
from contracts.fields import RevocationReason
from identity import schemas
from identity.api.dependencies import CurrentService, SignedIn, new_password_hash
from identity.policy import InvalidCredentials, WeakPassword
from identity.repositories import Sessions
from identity.use_cases.passwords.change_password import change_password
from identity.use_cases.sessions.end_session import end_session

LARGEST_PAGE = 100
LAST_PAGE = 10_000

PASSWORD_CHANGED = schemas.MessageResponse(message="Your password is changed. Other devices were signed out.")

router = APIRouter(prefix="/api/v1/auth", tags=["identity"], route_class=IdempotentRoute)


@router.get("/sessions", summary="List the signed-in devices", responses=problems(Unauthorized))
async def list_sessions(
    principal: CurrentPrincipal,
    user: SignedIn,
    service: CurrentService,
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
    page_size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = LARGEST_PAGE,
) -> schemas.SessionList:
    """List the devices on which the person is signed in, the latest used first."""
    live = service.rules.live_since(service.clock.now())
    async with service.unit_of_work() as uow:
        found, total = await Sessions(uow.session).listed(user.id, live, page=page, page_size=page_size)
    return schemas.SessionList(
        sessions=[
            schemas.SessionRead(
                id=session.id,
                created_at=session.created_at,
                last_used_at=session.last_used_at,
                user_agent=session.user_agent,
                ip=session.ip_prefix,
                current=session.id == principal.session_id,
            )
            for session in found
        ],
        total=total,
        page=page,
        page_size=page_size,
    )


@router.delete(
    "/sessions/{session_id}",
    summary="Sign one device out",
    status_code=204,
    responses=problems(Unauthorized, NotFound),
)
async def remove_session(session_id: UUID, user: SignedIn, service: CurrentService) -> None:
    """End one session."""
    async with service.unit_of_work() as uow:
        ended = await end_session(
            uow,
            user_id=user.id,
            session_id=session_id,
            reason=RevocationReason.ENDED_BY_USER,
            rules=service.rules,
        )
        if not ended:
            raise NotFound


@router.post(
    "/change-password",
    summary="Change the password",
    responses=example(PASSWORD_CHANGED)
    | problems(Unauthorized, InvalidCredentials, WeakPassword, QuotaExceeded),
)
async def replace_password(
    body: schemas.PasswordChangeRequest,
    principal: CurrentPrincipal,
    user: SignedIn,
    service: CurrentService,
) -> schemas.MessageResponse:
    """Change the password; ends every other session."""
    await service.limits.before_password_check(str(user.id))
    fits, _ = await service.hasher.verify(body.current_password.get_secret_value(), user.password_hash)
    if not fits:
        raise InvalidCredentials("The current password is not right.")
    new_hash = await new_password_hash(service, body.new_password, email=user.email)
    async with service.unit_of_work() as uow:
        await change_password(
            uow,
            user_id=user.id,
            session_id=principal.session_id,
            verified_hash=user.password_hash,
            new_hash=new_hash,
            rules=service.rules,
        )
    return PASSWORD_CHANGED
