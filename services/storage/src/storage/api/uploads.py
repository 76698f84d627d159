"""Asking for an upload link, and sending bytes over it."""

import asyncio
import hashlib
import hmac
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Request
from starlette.requests import ClientDisconnect

from chassis.callers import CurrentPrincipal, client_address
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import PersonErased, Unauthorized
from chassis.transfer_rate import LONGEST_TRANSFER_SECONDS, TooSlow, TransferRate
from storage import schemas
from storage.api.dependencies import CurrentService
from storage.consents import Whereabouts
from storage.links import UploadToken
from storage.policy import (
    ConsentRequired,
    LinkRefused,
    PartialUpload,
    PhotoTooLarge,
    ProveAddressFirst,
    TooBusy,
    UploadDiffers,
    UploadGone,
    UploadInterrupted,
    UploadOvertaken,
    WrongImageType,
)
from storage.transfers import MadeRoom, MemoryShare
from storage.use_cases.receive_bytes import Body as Received
from storage.use_cases.request_upload import Uploader

router = APIRouter(prefix="/api/v1/photos", tags=["storage"], route_class=IdempotentRoute)
# Bytes take long to arrive, to examine and to store, and no transaction may be open meanwhile. The same bytes
# over the same link get the same answer again, so this route needs no Idempotency-Key.
links = APIRouter(prefix="/api/v1/photos", tags=["storage"])

_PLACE = "Where the person is, as the device knows it: a code of ISO 3166, read tolerantly."
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_PHOTO_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {kind.value: _BYTES for kind in schemas.AcceptedType}}
}


async def _whereabouts(
    request: Request,
    country_code: Annotated[str | None, Query(max_length=64, description=_PLACE)] = None,
    state_code: Annotated[str | None, Query(max_length=64, description=_PLACE)] = None,
) -> Whereabouts:
    return Whereabouts(client_address(request), country_code, state_code)


Seen = Annotated[Whereabouts, Depends(_whereabouts)]


@router.post(
    "/upload",
    name="request_upload",
    status_code=201,
    summary="Ask for a link to upload one photo",
    responses=problems(Unauthorized, PersonErased, ConsentRequired, ProveAddressFirst),
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
    if service.settings.proved_address_for_biometrics and not principal.email_verified:
        raise ProveAddressFirst
    declared = (body.content_type if body else None) or content_type or schemas.AcceptedType.JPEG
    uploader = Uploader(principal.user_id, principal.session_id, principal.email_verified, seen)
    photo, token = await service.upload_desk.request_upload(uploader, declared.value)
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
    _refuse_announced_excess(request, limit)
    digest_key = service.database.subkey("upload-digest")
    photo = await service.reception.receive(
        photo_id,
        token=capability,
        content_type=_media_type(content_type),
        read_body=lambda memory: _read_body(request, limit, memory, digest_key=digest_key),
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


def _refuse_announced_excess(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limit:
        raise PhotoTooLarge.of_bytes(limit)


async def _read_body(request: Request, limit: int, memory: MemoryShare, *, digest_key: bytes) -> Received:
    """Read the body; its deadline follows its progress, so that a slow line only takes longer.

    Raises `PhotoTooLarge`, `TooBusy`, and `UploadInterrupted` for a body that stalls or breaks off.
    """
    parts: list[bytes] = []
    received, rate, digest = 0, TransferRate(), hmac.new(digest_key, digestmod=hashlib.sha256)
    stream = request.stream()
    try:
        async with asyncio.timeout(LONGEST_TRANSFER_SECONDS):
            while True:
                async with rate.waiting(), memory.client_turn():
                    part = await anext(stream, None)
                if part is None:
                    return Received(b"".join(parts), digest.hexdigest())
                received += len(part)
                if received > limit:
                    raise PhotoTooLarge.of_bytes(limit)
                await memory.grow(len(part))
                rate.count(moved=len(part))
                memory.moved(len(part))
                digest.update(part)
                parts.append(part)
    except (ClientDisconnect, TooSlow, MadeRoom, TimeoutError):
        raise UploadInterrupted from None
