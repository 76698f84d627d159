"""Uploads that go on after a break: tus 1.0.0, with the extensions that `storage.tus` names.

Begin one with a token, then use its link. A photo that has arrived this way is confirmed like every other.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from chassis.callers import CurrentPrincipal
from chassis.openapi import problems
from chassis.problems import PersonErased, Unauthorized
from storage import schemas
from storage.api.bodies import ArrivingBody, announced_length
from storage.api.dependencies import CurrentService, Seen, uploader_of
from storage.api.tus_headers import (
    LENGTH,
    LOCATION,
    PIECE_BODY,
    PROGRESS,
    AnnouncedUpload,
    Summed,
    TusRoute,
    progress_of,
)
from storage.links import UploadToken, UploadWay
from storage.policy import (
    ConsentRequired,
    LinkRefused,
    PhotoTooLarge,
    ProveAddressFirst,
    QuotaReached,
    SpaceUsedUp,
    TooBusy,
    UploadGone,
    UploadInterrupted,
    UploadLost,
    UploadOvertaken,
    WrongImageType,
)
from storage.tus import (
    ALGORITHMS,
    EXTENSIONS,
    PIECE_TYPE,
    VERSION,
    Checksum,
    ChecksumMismatch,
    NotAPiece,
    OffsetDiffers,
    TooManyPieces,
    UploadHeaderNotRead,
    VersionNotSpoken,
    written_metadata,
)
from storage.use_cases.resume_upload import Piece
from storage.wiring import Service

# An upload that was begun twice costs a row that expires, a piece sent twice is refused by its offset, and an
# end that is repeated finds nothing: none of these needs an Idempotency-Key.
router = APIRouter(prefix="/api/v1/photos/uploads", tags=["storage"], route_class=TusRoute)

_OF_LINKS = (VersionNotSpoken, LinkRefused, UploadGone)
_OF_QUOTA = (QuotaReached, SpaceUsedUp)
_OF_BYTES = (
    UploadHeaderNotRead,
    TooManyPieces,
    UploadInterrupted,
    ConsentRequired,
    ProveAddressFirst,
    OffsetDiffers,
    UploadOvertaken,
    UploadLost,
    PhotoTooLarge,
    NotAPiece,
    WrongImageType,
    ChecksumMismatch,
    TooBusy,
)


async def _link(
    photo_id: UUID,
    service: CurrentService,
    session: Annotated[UUID, Query()],
    token: Annotated[str, Query(max_length=128)],
) -> UploadToken:
    capability = UploadToken(token, session)
    service.links.check_upload(photo_id, capability, UploadWay.IN_PIECES)
    return capability


Link = Annotated[UploadToken, Depends(_link)]


@router.options(
    "",
    name="show_resumable_uploads",
    status_code=204,
    response_class=Response,
    summary="Ask which version and extensions of tus are spoken",
)
async def options_uploads(service: CurrentService) -> Response:
    """Return the headers `Tus-Version`, `Tus-Extension`, `Tus-Checksum-Algorithm` and `Tus-Max-Size`."""
    said = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Tus-Max-Size": str(service.settings.upload_limit_bytes),
    }
    return Response(status_code=204, headers=said)


@router.post(
    "",
    name="begin_resumable_upload",
    status_code=201,
    summary="Begin an upload that goes on after a break (tus)",
    openapi_extra={"requestBody": PIECE_BODY},
    responses={
        201: {"headers": {**LOCATION, **PROGRESS}},
        **problems(VersionNotSpoken, Unauthorized, PersonErased, *_OF_QUOTA, *_OF_BYTES, UploadGone),
    },
)
async def post_resumable_upload(
    request: Request,
    answer: Response,
    service: CurrentService,
    principal: CurrentPrincipal,
    seen: Seen,
    wanted: AnnouncedUpload,
    checksum: Summed,
) -> schemas.UploadTicket:
    """Begin a photo; needs a biometric consent that is live and enough where the person is.

    `Location` is its link. A body is the beginning of the photo, or all of it; `Upload-Offset` tells how much
    of it was kept.
    """
    limit = service.settings.upload_limit_bytes
    if (wanted.length or 0) > limit:
        raise PhotoTooLarge.of_bytes(limit)
    announced = _announced_piece(request, limit)
    photo, token = await service.upload_desk.request_upload(uploader_of(service, principal, seen), wanted)
    if announced != 0:
        piece = _piece(service, request, 0, announced, checksum)
        photo = await service.resumable_uploads.append(photo.id, token=token, piece=piece)
    ticket = schemas.UploadTicket(
        upload_url=service.links.upload_url(photo.id, token, UploadWay.IN_PIECES),
        photo_id=photo.id,
        s3_key=photo.s3_key,
        expires_at=photo.upload_expires_at,
    )
    answer.headers.update({"Location": ticket.upload_url, **progress_of(photo)})
    return ticket


@router.head(
    "/{photo_id}",
    name="measure_resumable_upload",
    response_class=Response,
    summary="Ask how far an upload is (tus)",
    responses={
        200: {"description": "Where the upload goes on", "headers": {**PROGRESS, **LENGTH}},
        **problems(*_OF_LINKS, ConsentRequired, ProveAddressFirst),
    },
)
async def head_resumable_upload(photo_id: UUID, service: CurrentService, token: Link) -> Response:
    """Return `Upload-Offset` and `Upload-Length`; where both are the same, the photo may be confirmed."""
    photo = await service.resumable_uploads.find(photo_id, token=token)
    said = {
        "Upload-Length": str(photo.upload_length),
        "Upload-Metadata": written_metadata(filetype=photo.declared_type),
        "Cache-Control": "no-store",
    }
    return Response(headers={**said, **progress_of(photo)})


@router.patch(
    "/{photo_id}",
    name="append_to_upload",
    status_code=204,
    response_class=Response,
    summary="Send the next bytes of an upload (tus)",
    openapi_extra={"requestBody": {"required": True, **PIECE_BODY}},
    responses={
        204: {"description": "The bytes have arrived", "headers": PROGRESS},
        **problems(*_OF_LINKS, *_OF_BYTES),
    },
)
async def patch_resumable_upload(
    photo_id: UUID,
    request: Request,
    service: CurrentService,
    token: Link,
    checksum: Summed,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, description="Where these bytes begin.")],
) -> Response:
    """Take the bytes from `Upload-Offset` on; the last of them complete the photo, checked as by a PUT.

    The newest request takes over from an older one. Bytes that are no picture of the declared type, or more
    bytes than were announced, end the upload, and nothing of it is kept.
    """
    limit = service.settings.upload_limit_bytes
    announced = _announced_piece(request, limit, always=True)
    piece = _piece(service, request, offset, announced, checksum)
    photo = await service.resumable_uploads.append(photo_id, token=token, piece=piece)
    return Response(status_code=204, headers=progress_of(photo))


@router.delete(
    "/{photo_id}",
    name="end_resumable_upload",
    status_code=204,
    response_class=Response,
    summary="End an upload and destroy what has arrived of it (tus)",
    responses={204: {"description": "Nothing of it is left"}, **problems(*_OF_LINKS, ConsentRequired)},
)
async def delete_resumable_upload(photo_id: UUID, service: CurrentService, token: Link) -> Response:
    """End the upload; a photo that was confirmed is deleted as a photo instead."""
    await service.resumable_uploads.terminate(photo_id, token=token)
    return Response(status_code=204)


def _announced_piece(request: Request, limit: int, *, always: bool = False) -> int | None:
    """Return how many bytes come, None when that is not said; raises `NotAPiece` and `PhotoTooLarge`."""
    announced = announced_length(request, limit=limit)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != PIECE_TYPE and (always or announced != 0):
        raise NotAPiece
    return announced


def _piece(
    service: Service, request: Request, offset: int, announced: int | None, checksum: Checksum | None
) -> Piece:
    limit = service.settings.upload_limit_bytes
    return Piece(offset, announced, checksum, lambda memory: ArrivingBody(request, memory, limit=limit))
