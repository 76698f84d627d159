"""What the caller uses of their limits, and who was given the bytes of their photos."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from chassis.callers import CurrentPrincipal
from chassis.openapi import problems
from chassis.problems import NotFound, Unauthorized
from storage import schemas
from storage.api.dependencies import CurrentService
from storage.paging import PLACE, Place
from storage.policy import ReadReason, Rendition
from storage.quotas import day_of, end_of_day
from storage.repositories import Usages
from storage.use_cases.list_reads import list_reads

LARGEST_PAGE = 100

router = APIRouter(prefix="/api/v1/photos", tags=["storage"])


@router.get(
    "/usage",
    name="show_usage",
    summary="Show what the account uses of its limits",
    responses=problems(Unauthorized),
)
async def get_usage(service: CurrentService, principal: CurrentPrincipal) -> schemas.PhotoUsage:
    """Return how many photos, bytes and uploads of today there are, and how many there may be."""
    now, quota = service.clock.now(), service.upload_desk.quota
    async with service.database.read_only() as session:
        usage = await Usages(session).of(principal.user_id, day=day_of(now))
    return schemas.PhotoUsage(
        photos=schemas.Used(used=usage.photos, limit=quota.photos),
        bytes=schemas.Used(used=usage.bytes, limit=quota.bytes),
        uploads_per_day=schemas.UsedToday(
            used=usage.uploads_today, limit=quota.uploads_per_day, resets_at=end_of_day(now)
        ),
    )


@router.get(
    "/{photo_id}/reads",
    name="list_photo_reads",
    summary="List who was given the bytes of a photo, newest first",
    responses=problems(Unauthorized, NotFound),
)
async def get_reads(
    photo_id: UUID,
    service: CurrentService,
    principal: CurrentPrincipal,
    page_size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
    after: Annotated[
        str | None,
        Query(
            pattern=PLACE,
            examples=["1795705800000000-01a218a0835674f5b207f1053475fe76"],
            description="`next` of the page before.",
        ),
    ] = None,
) -> schemas.ReadEntryPage:
    """Return one page; of a photo that was deleted those reads that there were."""
    page = await list_reads(
        service.database,
        user_id=principal.user_id,
        photo_id=photo_id,
        behind=Place.parse(after) if after else None,
        page_size=page_size,
    )
    return schemas.ReadEntryPage(
        items=[
            schemas.ReadEntry(
                id=read.id,
                read_at=read.read_at,
                read_by=read.user_id,
                session_id=read.session_id,
                rendition=Rendition(read.rendition),
                reason=ReadReason(read.reason),
            )
            for read in page.reads
        ],
        next=None if page.following is None else str(page.following),
    )
