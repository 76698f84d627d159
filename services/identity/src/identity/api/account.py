"""The caller's account."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body

from chassis.callers import CurrentPrincipal
from chassis.counters import QuotaExceeded
from chassis.idempotency import IdempotentRoute
from chassis.inventory_routes import OwnInventory
from chassis.openapi import problems
from chassis.problems import Unauthorized
from identity import schemas
from identity.addresses import AddressNotMailable
from identity.api.dependencies import (
    CurrentService,
    FreshlySignedIn,
    SignedIn,
    require_fresh_sign_in,
    require_mailable,
    user_read,
)
from identity.erasure.inventories import ParticipantSilent
from identity.erasure.policy import ConfirmationMissing
from identity.erasure.schemas import DeletionRequest, DeletionResponse, ErasurePreview
from identity.policy import EmailTaken, FreshSignInNeeded
from identity.use_cases.accounts.request_email_change import request_email_change
from identity.use_cases.erasure.begin_deletion import begin_deletion
from identity.use_cases.erasure.preview_erasure import preview_erasure

DELETED = (
    "Your account is closed and everything in it is being erased. Keep the token: it shows you when the "
    "erasure is complete."
)
FROZEN = (
    "Your account is closed and your pictures are being destroyed. Everything else is erased later. "
    "Until then the link that we mail to you opens the account again. Keep the token: it shows how far it is."
)

router = APIRouter(prefix="/api/v1/users", tags=["identity"], route_class=IdempotentRoute)


@router.get("/me", summary="Show the caller's account", responses=problems(Unauthorized))
async def show_me(user: SignedIn) -> schemas.UserRead:
    """Show the caller's account."""
    return user_read(user)


@router.get(
    "/me/erasure-preview",
    summary="Show what an erasure would take, and what would stay",
    responses=problems(Unauthorized, QuotaExceeded, ParticipantSilent),
)
async def preview_my_erasure(
    user: SignedIn, service: CurrentService, take_own: OwnInventory
) -> ErasurePreview:
    """Show what every service holds of the caller, by kind with counts, and what an erasure would leave.

    The counts are those that the erasure's status shows afterwards, if nothing is added meanwhile. A service
    that does not answer is named in a 503.
    """
    await service.limits.before_preview(str(user.id))
    return await preview_erasure(
        service.database,
        service.inventories,
        take_own,
        user_id=user.id,
        backups=service.settings.backup_terms,
        processors=service.rules.processors,
        grace=timedelta(hours=service.settings.erasure_grace),
    )


@router.patch(
    "/me",
    summary="Ask for another address",
    responses=problems(Unauthorized, FreshSignInNeeded, EmailTaken, QuotaExceeded, AddressNotMailable),
)
async def change_me(
    body: schemas.AccountChange, user: FreshlySignedIn, service: CurrentService
) -> schemas.UserRead:
    """Ask for another address; it takes effect when the mail to it is answered.

    Needs a sign-in of the last five minutes. Asking for the present address takes an earlier request back.
    """
    require_mailable(service, body.email)
    await service.limits.before_mail(str(user.id))
    async with service.unit_of_work() as uow:
        conceal = service.settings.registration_disclosure == "conceal"
        changed = await request_email_change(uow, user_id=user.id, email=body.email, conceal=conceal)
    return user_read(changed)


@router.delete(
    "/me",
    summary="Delete the account and everything in it",
    responses=problems(Unauthorized, FreshSignInNeeded, ConfirmationMissing),
)
async def delete_me(
    principal: CurrentPrincipal,
    user: SignedIn,
    service: CurrentService,
    body: Annotated[DeletionRequest | None, Body()] = None,
) -> DeletionResponse:
    """Close the account and erase everything that any service holds of the person."""
    if body is None or not body.confirm:
        raise ConfirmationMissing
    if minutes := service.settings.erasure_fresh_minutes:
        require_fresh_sign_in(service, principal, within=timedelta(minutes=minutes))
    grace = timedelta(hours=service.settings.erasure_grace)
    async with service.unit_of_work() as uow:
        deletion = await begin_deletion(uow, user_id=user.id, rules=service.rules, grace=grace)
    return DeletionResponse(
        message=DELETED if deletion.grace_until is None else FROZEN,
        deleted_at=deletion.requested_at,
        erasure_id=deletion.erasure_id,
        status_url=f"{service.settings.public_url}/api/v1/privacy/erasures/{deletion.erasure_id}",
        status_token=deletion.status_token,
        grace_until=deletion.grace_until,
    )
