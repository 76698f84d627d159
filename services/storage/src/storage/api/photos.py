"""The caller's photos: confirming, listing, showing, deleting."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import NotFound, PersonErased, Unauthorized
from storage import schemas
from storage.api.dependencies import CurrentService, photo_read
from storage.paging import PLACE, Place
from storage.policy import ConsentRequired, NotUploadedYet, SizeMismatch
from storage.repositories import Photos
from storage.use_cases.ask_consent import bring_gate_up_to_date
from storage.use_cases.confirm_photo import confirm_photo
from storage.use_cases.delete_photo import delete_photo
from storage.use_cases.destroy_due import AT_ONCE_SECONDS
from storage.use_cases.list_photos import list_photos

LARGEST_PAGE = 100

router = APIRouter(prefix="/api/v1/photos", tags=["storage"], route_class=IdempotentRoute)


@router.post(
    "/{photo_id}/confirm",
    name="confirm_photo",
    summary="Confirm that the photo arrived whole",
    responses=problems(Unauthorized, PersonErased, ConsentRequired, NotFound, NotUploadedYet, SizeMismatch),
)
async def post_confirmation(
    photo_id: UUID, body: schemas.Confirmation, service: CurrentService, principal: CurrentPrincipal
) -> schemas.PhotoRead:
    """Complete the upload while the consent lives; harmless when repeated."""
    await bring_gate_up_to_date(service.database, service.consents, user_id=principal.user_id)
    async with service.unit_of_work() as uow:
        photo = await confirm_photo(
            uow, user_id=principal.user_id, photo_id=photo_id, file_size=body.file_size
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
    after: Annotated[
        str | None,
        Query(
            pattern=PLACE,
            examples=["1795705800000000-01a218a0835674f5b207f1053475fe76"],
            description="`next` of the page before; `page` is not looked at then, and nothing shifts.",
        ),
    ] = None,
    include: Annotated[
        schemas.Listed | None, Query(description="`pending`: uploads without bytes too.")
    ] = None,
) -> schemas.PhotoPage:
    """Return one page; a photo is listed once its bytes have arrived."""
    async with service.unit_of_work() as uow:
        found = await list_photos(
            uow,
            user_id=principal.user_id,
            pending=include is schemas.Listed.PENDING,
            begin=Place.parse(after) if after else (page - 1) * page_size,
            page_size=page_size,
        )
    return schemas.PhotoPage(
        items=[photo_read(photo, service, principal) for photo in found.photos],
        total=found.total,
        page=page,
        page_size=page_size,
        next=None if found.following is None else str(found.following),
    )


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
    async with service.database.read_only() as session:
        photo = await Photos(session).of_person(principal.user_id, photo_id)
    if photo is None:
        raise NotFound
    return photo_read(photo, service, principal)


@router.delete(
    "/{photo_id}",
    name="delete_photo",
    status_code=204,
    summary="Delete a photo for good",
    responses=problems(Unauthorized, PersonErased, NotFound),
)
async def remove_photo(photo_id: UUID, service: CurrentService, principal: CurrentPrincipal) -> None:
    """Delete the photo; its links are dead at once, its objects go now or as soon as the store answers.

    Where a law forbids that (`GET /users/me/erasure-preview` names it), they go when that ends, unread.
    """
    async with service.unit_of_work() as uow:
        work = await delete_photo(uow, user_id=principal.user_id, photo_id=photo_id)
    if work is None:
        return
    # The objects must not go before the order to destroy them is committed.
    destroyer, order_id = service.destroyer, work.id
    await service.database.when_durable(lambda: destroyer.destroy_now(order_id, seconds=AT_ONCE_SECONDS))
