"""The caller's photos: confirming, listing, showing, deleting."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query

from chassis.auth import CurrentPrincipal
from chassis.faults import is_transient
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import NotFound, PersonErased, Unauthorized, describe
from storage import schemas
from storage.api.dependencies import CurrentService, photo_read
from storage.policy import NotUploadedYet, SizeMismatch
from storage.use_cases.confirm_photo import confirm_photo
from storage.use_cases.delete_photo import delete_photo
from storage.use_cases.destroy_due import destroy_due
from storage.use_cases.list_photos import list_photos
from storage.use_cases.show_photo import show_photo
from storage.wiring import Service

DESTROY_SECONDS = 2.0
LARGEST_PAGE = 100

router = APIRouter(prefix="/api/v1/photos", tags=["storage"], route_class=IdempotentRoute)
log = structlog.get_logger(__name__)


@router.post(
    "/{photo_id}/confirm",
    name="confirm_photo",
    summary="Confirm that the photo arrived whole",
    responses=problems(Unauthorized, PersonErased, NotFound, NotUploadedYet, SizeMismatch),
)
async def post_confirmation(
    photo_id: UUID, body: schemas.Confirmation, service: CurrentService, principal: CurrentPrincipal
) -> schemas.PhotoRead:
    """Complete the upload; harmless when repeated."""
    async with service.unit_of_work() as uow:
        photo = await confirm_photo(
            uow,
            user_id=principal.user_id,
            photo_id=photo_id,
            file_size=body.file_size,
            now=service.clock.now(),
        )
    return photo_read(photo, service, principal)


@router.get(
    "",
    name="list_photos",
    summary="List the caller's photos, newest first",
    responses=problems(Unauthorized),
)
async def get_photos(
    service: CurrentService,
    principal: CurrentPrincipal,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
) -> schemas.PhotoPage:
    """Return one page; uploads that are not finished are listed too."""
    async with service.unit_of_work() as uow:
        photos, total = await list_photos(uow, user_id=principal.user_id, page=page, page_size=page_size)
    items = [photo_read(photo, service, principal) for photo in photos]
    return schemas.PhotoPage(items=items, total=total, page=page, page_size=page_size)


@router.get(
    "/{photo_id}",
    name="show_photo",
    summary="Show one photo's particulars",
    responses=problems(Unauthorized, NotFound),
)
async def get_photo(
    photo_id: UUID, service: CurrentService, principal: CurrentPrincipal
) -> schemas.PhotoRead:
    """Return the particulars with fresh links."""
    async with service.unit_of_work() as uow:
        photo = await show_photo(uow, user_id=principal.user_id, photo_id=photo_id)
    return photo_read(photo, service, principal)


@router.delete(
    "/{photo_id}",
    name="delete_photo",
    status_code=204,
    summary="Delete a photo for good",
    responses=problems(Unauthorized, PersonErased, NotFound),
)
async def remove_photo(photo_id: UUID, service: CurrentService, principal: CurrentPrincipal) -> None:
    """Delete the photo; its links are dead at once, its objects go now or as soon as the store answers."""
    async with service.unit_of_work() as uow:
        work = await delete_photo(uow, user_id=principal.user_id, photo_id=photo_id, now=service.clock.now())
    # The objects must not go before the order to destroy them is committed.
    await service.database.when_durable(lambda: _destroy_now(service, work.id))


async def _destroy_now(service: Service, work_id: UUID) -> None:
    try:
        await destroy_due(service.database, service.vault, only=work_id, folder_seconds=DESTROY_SECONDS)
    except Exception as error:
        if not is_transient(error):
            raise
        # The order to destroy is committed; the worker carries it out.
        log.warning("destruction_left_to_the_worker", error=describe(error))
