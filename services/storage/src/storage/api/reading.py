"""Reading a photo or its thumbnail over a signed link, whole or in part."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from chassis.openapi import problems
from storage.api.dependencies import CurrentService
from storage.policy import (
    ConsentRequired,
    LinkGone,
    LinkRefused,
    RangeNotSatisfiable,
    Rendition,
    TooBusy,
    parse_range,
)
from storage.use_cases.serve_photo import OpenedPhoto, serve_photo
from storage.wiring import Service

router = APIRouter(prefix="/api/v1/photos", tags=["storage"])

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole picture", "content": {"image/*": _BYTES}},
    206: {"description": "The range that was asked for", "content": {"image/*": _BYTES}},
    **problems(LinkRefused, ConsentRequired, LinkGone, RangeNotSatisfiable, TooBusy),
}


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What proves a reading link, and the range that its holder wants."""

    session_id: UUID
    expires: int
    signature: str
    wanted: str | None


async def _signed_link(
    session: Annotated[UUID, Query()],
    expires: Annotated[int, Query(ge=0, le=9_999_999_999)],
    signature: Annotated[str, Query(max_length=128)],
    wanted: Annotated[str | None, Header(alias="Range", max_length=256)] = None,
) -> SignedLink:
    return SignedLink(session, expires, signature, wanted)


Link = Annotated[SignedLink, Depends(_signed_link)]


@router.get(
    "/{photo_id}/content",
    name="read_photo",
    response_class=Response,
    responses=_ANSWERS,
    summary="Read a photo over its link",
)
async def get_content(photo_id: UUID, service: CurrentService, link: Link) -> Response:
    """Return the photo without its metadata; the link is the permission while the consent lives."""
    return await _read(service, photo_id, link, Rendition.ORIGINAL)


@router.get(
    "/{photo_id}/thumbnail",
    name="read_thumbnail",
    response_class=Response,
    responses=_ANSWERS,
    summary="Read a photo's thumbnail over its link",
)
async def get_thumbnail(photo_id: UUID, service: CurrentService, link: Link) -> Response:
    """Return a JPEG of at most 512 pixels; the link is the permission while the consent lives."""
    return await _read(service, photo_id, link, Rendition.THUMBNAIL)


async def _read(service: Service, photo_id: UUID, link: SignedLink, rendition: Rendition) -> Response:
    service.links.check(
        photo_id,
        rendition,
        session_id=link.session_id,
        expires=link.expires,
        signature=link.signature,
        now=service.clock.now(),
    )
    async with service.reads.taken():
        opened = await serve_photo(
            service.database,
            service.vault,
            service.consents,
            service.clock,
            photo_id=photo_id,
            rendition=rendition,
        )
        return _answer(opened, link.wanted)


def _answer(opened: OpenedPhoto, wanted: str | None) -> Response:
    length = len(opened.content)
    part = parse_range(wanted, length)
    # The tag names the photo and never its content: equal pictures must not be recognisable by it.
    headers = {"Accept-Ranges": "bytes", "ETag": opened.tag, "Cache-Control": "no-store"}
    if part is None:
        return Response(opened.content, media_type=opened.content_type, headers=headers)
    headers["Content-Range"] = f"bytes {part.first}-{part.last}/{length}"
    content = opened.content[part.first : part.last + 1]
    return Response(content, status_code=206, media_type=opened.content_type, headers=headers)
