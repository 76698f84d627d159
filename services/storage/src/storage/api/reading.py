"""Reading a photo or its thumbnail over a signed link, whole or in part."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.types import Receive, Scope, Send

from chassis.openapi import problems
from chassis.transfer_rate import TooSlow, TransferRate
from storage.api.dependencies import CurrentService
from storage.conditions import is_known, range_applies
from storage.models import Photo
from storage.policy import (
    ConsentRequired,
    LinkGone,
    LinkRefused,
    PhotoLost,
    PhotoUnavailable,
    RangeNotSatisfiable,
    Rendition,
    TooBusy,
    parse_range,
)
from storage.transfers import MadeRoom, MemoryShare
from storage.use_cases.serve_photo import OpenedPhoto, tag_of
from storage.wiring import Service

PIECE_BYTES = 64 * 1024

router = APIRouter(prefix="/api/v1/photos", tags=["storage"])
log = structlog.get_logger(__name__)

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole picture", "content": {"image/*": _BYTES}},
    206: {"description": "The range that was asked for", "content": {"image/*": _BYTES}},
    304: {"description": "The client has this version already"},
    **problems(
        LinkRefused,
        ConsentRequired,
        LinkGone,
        PhotoLost,
        RangeNotSatisfiable,
        TooBusy,
        PhotoUnavailable,
    ),
}
_HEAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The headers of the whole picture"},
    304: _ANSWERS[304],
    **problems(LinkRefused, ConsentRequired, LinkGone, PhotoLost, PhotoUnavailable),
}


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What proves a reading link, and which version of the picture its holder has already."""

    session_id: UUID
    expires: int
    signature: str
    known: str | None


@dataclass(frozen=True, slots=True)
class AskedPart:
    """Which part of the picture is wanted, and of which version only; a HEAD has none (RFC 9110 §14.2)."""

    wanted: str | None
    only_of: str | None


async def _signed_link(
    session: Annotated[UUID, Query()],
    expires: Annotated[int, Query(ge=0, le=9_999_999_999)],
    signature: Annotated[str, Query(max_length=128)],
    known: Annotated[str | None, Header(alias="If-None-Match", max_length=1024)] = None,
) -> SignedLink:
    return SignedLink(session, expires, signature, known)


async def _asked_part(
    wanted: Annotated[str | None, Header(alias="Range", max_length=256)] = None,
    only_of: Annotated[str | None, Header(alias="If-Range", max_length=256)] = None,
) -> AskedPart:
    return AskedPart(wanted, only_of)


Link = Annotated[SignedLink, Depends(_signed_link)]
Part = Annotated[AskedPart, Depends(_asked_part)]


@router.get(
    "/{photo_id}/content",
    name="read_photo",
    response_class=Response,
    responses=_ANSWERS,
    summary="Read a photo over its link",
)
async def get_content(photo_id: UUID, service: CurrentService, link: Link, part: Part) -> Response:
    """Return the photo without its metadata; the link is the permission while the consent lives."""
    return await _read(service, photo_id, link, part, Rendition.ORIGINAL)


@router.get(
    "/{photo_id}/thumbnail",
    name="read_thumbnail",
    response_class=Response,
    responses=_ANSWERS,
    summary="Read a photo's thumbnail over its link",
)
async def get_thumbnail(photo_id: UUID, service: CurrentService, link: Link, part: Part) -> Response:
    """Return a JPEG of at most 512 pixels; the link is the permission while the consent lives."""
    return await _read(service, photo_id, link, part, Rendition.THUMBNAIL)


@router.head(
    "/{photo_id}/content",
    name="measure_photo",
    response_class=Response,
    responses=_HEAD_ANSWERS,
    summary="Ask for a photo's size and version over its link",
)
async def head_content(photo_id: UUID, service: CurrentService, link: Link) -> Response:
    """Return the headers that reading the whole photo would have, without reading any of it."""
    return await _measure(service, photo_id, link, Rendition.ORIGINAL)


@router.head(
    "/{photo_id}/thumbnail",
    name="measure_thumbnail",
    response_class=Response,
    responses=_HEAD_ANSWERS,
    summary="Ask for a thumbnail's size and version over its link",
)
async def head_thumbnail(photo_id: UUID, service: CurrentService, link: Link) -> Response:
    """Return the headers that reading the whole thumbnail would have, without reading any of it."""
    return await _measure(service, photo_id, link, Rendition.THUMBNAIL)


async def _read(
    service: Service, photo_id: UUID, link: SignedLink, part: AskedPart, rendition: Rendition
) -> Response:
    photo, headers = await _find(service, photo_id, link, rendition)
    if is_known(link.known, headers["ETag"]):
        return await _not_modified(service, photo, headers)
    async with AsyncExitStack() as resources:
        memory = await resources.enter_async_context(service.reads.of(photo.user_id))
        # The object is in memory twice for a moment, sealed and open.
        opened = await service.reader.open(
            photo, rendition, session_id=link.session_id, admit=lambda size: memory.grow(2 * size)
        )
        wanted = part.wanted if range_applies(part.only_of, opened.tag) else None
        answer = _answer(opened, wanted, headers)
        # From here on the bytes are held until the last of them has left.
        answer.holds, answer.memory = resources.pop_all(), memory
        return answer


async def _measure(service: Service, photo_id: UUID, link: SignedLink, rendition: Rendition) -> Response:
    photo, headers = await _find(service, photo_id, link, rendition)
    if is_known(link.known, headers["ETag"]):
        return await _not_modified(service, photo, headers)
    # No byte of the picture comes into memory, so this takes none of the places of those who read.
    measured = await service.reader.measure(photo, rendition)
    headers |= {"Accept-Ranges": "bytes", "Content-Length": str(measured.size)}
    return Response(media_type=measured.content_type, headers=headers)


async def _find(
    service: Service, photo_id: UUID, link: SignedLink, rendition: Rendition
) -> tuple[Photo, dict[str, str]]:
    """Return the photo that a good link leads to, and the headers of every answer about it."""
    now = service.clock.now()
    service.links.check(
        photo_id,
        rendition,
        session_id=link.session_id,
        expires=link.expires,
        signature=link.signature,
        now=now,
    )
    photo = await service.reader.find(photo_id)
    seconds = link.expires - int(now.timestamp())
    # Only the device that holds the link may keep the picture, and not longer than the link is good.
    return photo, {"ETag": tag_of(photo, rendition), "Cache-Control": f"private, max-age={seconds}"}


async def _not_modified(service: Service, photo: Photo, headers: dict[str, str]) -> Response:
    await service.reader.permit(photo)
    return Response(status_code=304, headers=headers)


class PictureResponse(Response):
    """A picture that is sent as fast as its reader takes it, and never slower than the least speed."""

    holds: AsyncExitStack
    memory: MemoryShare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and then the bytes, piece by piece; cut a reader who does not read."""
        del scope, receive
        async with self.holds:
            rate = TransferRate()
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            for start in range(0, len(self.body), PIECE_BYTES):
                piece = bytes(self.body[start : start + PIECE_BYTES])
                try:
                    async with rate.waiting(), self.memory.client_turn():
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                except (TooSlow, MadeRoom):
                    # The server closes the connection of an answer that does not end.
                    log.info("slow_reader_cut")
                    return
                rate.count(moved=len(piece))
                self.memory.moved(len(piece))
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _answer(opened: OpenedPhoto, wanted: str | None, headers: dict[str, str]) -> PictureResponse:
    length = len(opened.content)
    part = parse_range(wanted, length)
    headers = {"Accept-Ranges": "bytes", **headers}
    if part is None:
        return PictureResponse(opened.content, media_type=opened.content_type, headers=headers)
    headers["Content-Range"] = f"bytes {part.first}-{part.last}/{length}"
    content = opened.content[part.first : part.last + 1]
    return PictureResponse(content, status_code=206, media_type=opened.content_type, headers=headers)
