"""Asking for an upload link, and sending bytes over it."""

import hashlib
import hmac
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query, Request

from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import PersonErased, Unauthorized
from storage import schemas
from storage.api.bodies import ArrivingBody, announced_length
from storage.api.dependencies import CurrentService, Seen, uploader_of
from storage.links import UploadToken
from storage.policy import (
    ConsentRequired,
    LinkRefused,
    PartialUpload,
    PhotoTooLarge,
    ProveAddressFirst,
    QuotaReached,
    SpaceUsedUp,
    TooBusy,
    UploadDiffers,
    UploadGone,
    UploadInterrupted,
    UploadOvertaken,
    WrongImageType,
)
from storage.use_cases.accept_picture import Body as Received
from storage.use_cases.request_upload import Wanted

router = APIRouter(prefix="/api/v1/photos", tags=["storage"], route_class=IdempotentRoute)
# Bytes take long to arrive, to examine and to store, and no transaction may be open meanwhile. The same bytes
# over the same link get the same answer again, so this route needs no Idempotency-Key.
links = APIRouter(prefix="/api/v1/photos", tags=["storage"])

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_PHOTO_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {kind.value: _BYTES for kind in schemas.AcceptedType}}
}


@router.post(
    "/upload",
    name="request_upload",
    status_code=201,
    summary="Ask for a link to upload one photo",
    responses=problems(
        Unauthorized, PersonErased, ConsentRequired, ProveAddressFirst, QuotaReached, SpaceUsedUp
    ),
)
async def post_upload(
    service: CurrentService,
    principal: CurrentPrincipal,
    seen: Seen,
    body: Annotated[schemas.UploadRequest | None, Body()] = None,
    content_type: Annotated[schemas.AcceptedType | None, Query()] = None,
) -> schemas.UploadTicket:
    """Begin a photo; needs a biometric consent that is live and enough where the person is.

    The type may stand in the body or in the query.
    """
    declared = (body.content_type if body else None) or content_type or schemas.AcceptedType.JPEG
    uploader = uploader_of(service, principal, seen)
    photo, token = await service.upload_desk.request_upload(uploader, Wanted(declared.value))
    return schemas.UploadTicket(
        upload_url=service.links.upload_url(photo.id, token),
        photo_id=photo.id,
        s3_key=photo.s3_key,
        expires_at=photo.upload_expires_at,
    )


@links.put(
    "/{photo_id}/content",
    name="upload_photo",
    summary="Upload a photo's bytes over its link",
    openapi_extra=_PHOTO_BODY,
    responses=problems(
        UploadInterrupted,
        PartialUpload,
        LinkRefused,
        ConsentRequired,
        ProveAddressFirst,
        UploadDiffers,
        UploadGone,
        UploadOvertaken,
        PhotoTooLarge,
        WrongImageType,
        TooBusy,
    ),
)
async def put_content(
    photo_id: UUID,
    request: Request,
    service: CurrentService,
    session: Annotated[UUID, Query()],
    token: Annotated[str, Query(max_length=128)],
    content_type: Annotated[str, Header(max_length=128, include_in_schema=False)] = "",
) -> schemas.UploadReceipt:
    """Take the bytes; the link is the permission, for one picture, and only while the consent lives.

    The same bytes again get the same answer, others 409. The newest attempt takes over from an older one.
    """
    limit = service.settings.upload_limit_bytes
    capability = UploadToken(token, session)
    service.links.check_upload(photo_id, capability)
    if "content-range" in request.headers:
        raise PartialUpload
    announced_length(request, limit=limit)
    digest_key = service.database.subkey("upload-digest")
    photo = await service.reception.receive(
        photo_id,
        token=capability,
        content_type=_media_type(content_type),
        read_body=lambda memory: _read_body(
            ArrivingBody(request, memory, limit=limit), digest_key=digest_key
        ),
    )
    return schemas.UploadReceipt(
        photo_id=photo.id,
        file_size=photo.received_bytes or 0,
        content_type=photo.media_type,
        width=photo.width or 0,
        height=photo.height or 0,
    )


def _media_type(header: str) -> str:
    try:
        return schemas.AcceptedType(header).value
    except ValueError:
        # Any other type is refused as not the declared one.
        return header


async def _read_body(arriving: ArrivingBody, *, digest_key: bytes) -> Received:
    """Read all of a body; raises what it raises."""
    parts: list[bytes] = []
    digest = hmac.new(digest_key, digestmod=hashlib.sha256)
    while (part := await arriving.read()) is not None:
        digest.update(part)
        parts.append(part)
    return Received(b"".join(parts), digest.hexdigest())
