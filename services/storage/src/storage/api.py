"""Storage's routes."""

import asyncio
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from chassis.auth import CurrentPrincipal
from chassis.faults import is_transient
from chassis.problems import describe
from storage import schemas
from storage.links import UploadToken
from storage.models import Photo
from storage.policy import PhotoTooLarge, Rendition, UploadInterrupted, parse_range, upload_status
from storage.use_cases.ask_consent import ask_consent
from storage.use_cases.confirm_photo import confirm_photo
from storage.use_cases.delete_photo import delete_photo
from storage.use_cases.destroy_due import destroy_due
from storage.use_cases.list_photos import list_photos
from storage.use_cases.request_upload import request_upload
from storage.use_cases.serve_photo import serve_photo
from storage.use_cases.show_photo import show_photo
from storage.wiring import Service

DESTROY_SECONDS = 2.0
LARGEST_PAGE = 100
# The routes that take photos count their bytes themselves.
UPLOAD_PATHS = (r"^/api/v1/photos/[^/]+/content$",)

public = APIRouter(prefix="/api/v1/photos", tags=["storage"])
log = structlog.get_logger(__name__)


def current_service(request: Request) -> Service:
    """Return the collaborators of this process."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(current_service)]


@public.post("/upload", status_code=201, summary="Ask for a link to upload one photo")
async def post_upload(
    service: CurrentService,
    principal: CurrentPrincipal,
    body: Annotated[schemas.UploadRequest | None, Body()] = None,
    content_type: Annotated[schemas.AcceptedType | None, Query()] = None,
) -> schemas.UploadTicket:
    """Begin a photo; needs a live biometric consent. The type may stand in the body or in the query."""
    declared = (body.content_type if body else None) or content_type or schemas.AcceptedType.JPEG
    now = service.clock.now()
    answer = await ask_consent(service.database, service.consents, user_id=principal.user_id, now=now)
    async with service.unit_of_work() as uow:
        photo, token = await request_upload(
            uow,
            user_id=principal.user_id,
            content_type=declared.value,
            answer=answer,
            vault=service.vault,
            now=now,
            link_over_at=now + timedelta(seconds=service.settings.upload_link_seconds),
        )
    return schemas.UploadTicket(
        upload_url=service.links.upload_url(photo.id, token),
        photo_id=photo.id,
        s3_key=photo.s3_key,
        expires_at=photo.upload_expires_at,
    )


@public.put(
    "/{photo_id}/content",
    summary="Upload a photo's bytes over its link",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind.value: {"schema": {"type": "string", "format": "binary"}}
                for kind in schemas.AcceptedType
            },
        }
    },
)
async def put_content(
    photo_id: UUID,
    request: Request,
    service: CurrentService,
    token: Annotated[str, Query(max_length=128)],
    content_type: Annotated[str, Header(max_length=128)] = "",
) -> schemas.UploadReceipt:
    """Take the bytes; the link is the permission, works once, and only while the consent lives."""
    limit = service.settings.upload_limit_bytes
    _refuse_announced_excess(request, limit)
    photo = await service.reception.receive(
        photo_id,
        token=UploadToken(token),
        content_type=content_type.partition(";")[0].strip().lower(),
        read_body=lambda: _read_body(request, limit, seconds=service.settings.upload_seconds),
    )
    return schemas.UploadReceipt(
        photo_id=photo.id,
        file_size=photo.received_bytes or 0,
        content_type=photo.media_type,
        width=photo.width or 0,
        height=photo.height or 0,
    )


@public.post("/{photo_id}/confirm", summary="Confirm that the photo arrived whole")
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
    return _photo_read(photo, service)


@public.get("", summary="List the caller's photos, newest first")
async def get_photos(
    service: CurrentService,
    principal: CurrentPrincipal,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
) -> schemas.PhotoPage:
    """Return one page."""
    async with service.unit_of_work() as uow:
        photos, total = await list_photos(uow, user_id=principal.user_id, page=page, page_size=page_size)
    items = [_photo_read(photo, service) for photo in photos]
    return schemas.PhotoPage(items=items, total=total, page=page, page_size=page_size)


@public.get("/{photo_id}", summary="Show one photo's particulars")
async def get_photo(
    photo_id: UUID, service: CurrentService, principal: CurrentPrincipal
) -> schemas.PhotoRead:
    """Return the particulars with fresh links."""
    async with service.unit_of_work() as uow:
        photo = await show_photo(uow, user_id=principal.user_id, photo_id=photo_id)
    return _photo_read(photo, service)


@public.delete("/{photo_id}", status_code=204, summary="Delete a photo for good")
async def remove_photo(photo_id: UUID, service: CurrentService, principal: CurrentPrincipal) -> None:
    """Delete the photo; its links are dead at once, its objects go now or as soon as the store answers."""
    async with service.unit_of_work() as uow:
        work = await delete_photo(uow, user_id=principal.user_id, photo_id=photo_id, now=service.clock.now())
    try:
        async with asyncio.timeout(DESTROY_SECONDS):
            await destroy_due(service.database, service.vault, only=work.id)
    except Exception as error:
        if not is_transient(error):
            raise
        # The order to destroy is committed; the worker carries it out.
        log.warning("destruction_left_to_the_worker", error=describe(error))


@public.get("/{photo_id}/content", response_class=Response, summary="Read a photo over its link")
async def get_content(
    photo_id: UUID,
    service: CurrentService,
    expires: Annotated[int, Query(ge=0, le=9_999_999_999)],
    signature: Annotated[str, Query(max_length=128)],
    asked: Annotated[str | None, Header(alias="Range", max_length=256)] = None,
) -> Response:
    """Return the photo without its metadata, whole or the one range that is asked for."""
    return await _read(service, photo_id, Rendition.ORIGINAL, expires, signature, asked)


@public.get(
    "/{photo_id}/thumbnail", response_class=Response, summary="Read a photo's thumbnail over its link"
)
async def get_thumbnail(
    photo_id: UUID,
    service: CurrentService,
    expires: Annotated[int, Query(ge=0, le=9_999_999_999)],
    signature: Annotated[str, Query(max_length=128)],
    asked: Annotated[str | None, Header(alias="Range", max_length=256)] = None,
) -> Response:
    """Return the thumbnail, whole or the one range that is asked for."""
    return await _read(service, photo_id, Rendition.THUMBNAIL, expires, signature, asked)


async def _read(
    service: Service,
    photo_id: UUID,
    rendition: Rendition,
    expires: int,
    signature: str,
    asked: str | None,
) -> Response:
    now = service.clock.now()
    service.links.check(photo_id, rendition, expires=expires, signature=signature, now=now)
    async with service.reads.taken():
        opened = await serve_photo(
            service.database,
            service.vault,
            service.consents,
            service.clock,
            photo_id=photo_id,
            rendition=rendition,
        )
    length = len(opened.content)
    part = parse_range(asked, length)
    headers = {"Accept-Ranges": "bytes", "ETag": opened.tag, "Cache-Control": "no-store"}
    if part is None:
        return Response(opened.content, media_type=opened.content_type, headers=headers)
    headers["Content-Range"] = f"bytes {part.first}-{part.last}/{length}"
    content = opened.content[part.first : part.last + 1]
    return Response(content, status_code=206, media_type=opened.content_type, headers=headers)


def _refuse_announced_excess(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limit:
        raise _too_many_bytes(limit)


async def _read_body(request: Request, limit: int, *, seconds: float) -> bytes:
    parts: list[bytes] = []
    received = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                received += len(part)
                if received > limit:
                    raise _too_many_bytes(limit)
                parts.append(part)
    except (ClientDisconnect, TimeoutError):
        raise UploadInterrupted from None
    return b"".join(parts)


def _too_many_bytes(limit: int) -> PhotoTooLarge:
    return PhotoTooLarge(f"A photo may have at most {limit} bytes.")


def _photo_read(photo: Photo, service: Service) -> schemas.PhotoRead:
    now = service.clock.now()

    def link(rendition: Rendition) -> str | None:
        return None if photo.confirmed_at is None else service.links.read_url(photo.id, rendition, now=now)

    return schemas.PhotoRead(
        id=photo.id,
        user_id=photo.user_id,
        s3_key=photo.s3_key,
        thumbnail_url=link(Rendition.THUMBNAIL),
        original_url=link(Rendition.ORIGINAL),
        width=photo.width,
        height=photo.height,
        file_size=photo.received_bytes,
        content_type=photo.media_type,
        upload_status=upload_status(
            confirmed=photo.confirmed_at is not None,
            received=photo.received_at is not None,
            link_expires_at=photo.upload_expires_at,
            now=now,
        ),
        created_at=photo.created_at,
        updated_at=photo.updated_at,
    )
