"""What contributors ask storage: where their section of an export goes, and to take it."""

import time
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect

from chassis.callers import require_service
from chassis.problems import Forbidden
from chassis.transfer_rate import LONGEST_TRANSFER_SECONDS, TooSlow, TransferRate
from contracts.topology import SERVICES
from storage.api.dependencies import CurrentService
from storage.exports.links import SectionLink
from storage.exports.policy import SectionInterrupted
from storage.exports.schemas import SectionTicket

router = APIRouter(prefix="/internal/exports", include_in_schema=False)
Contributor = Annotated[str, Depends(require_service(*SERVICES))]


@router.get("/{export_id}/link")
async def give_link(export_id: UUID, caller: Contributor, service: CurrentService) -> SectionTicket:
    """Tell the caller where its section goes; 410 when nobody waits for it any more."""
    path, expires = await service.sections.give_link(export_id, caller)
    return SectionTicket(path=path, expires_at=expires)


@router.put("/{export_id}/sections/{contributor}", status_code=204)
async def put_section(
    export_id: UUID,
    contributor: str,
    request: Request,
    caller: Contributor,
    service: CurrentService,
    attempt: Annotated[UUID, Query()],
    expires: Annotated[int, Query(ge=0, le=9_999_999_999)],
    signature: Annotated[str, Query(max_length=128)],
) -> None:
    """Take the section of the caller, whole or not at all; the link and the caller's token permit it."""
    if caller != contributor:
        raise Forbidden
    link = SectionLink(attempt, expires, signature)
    service.export_links.check_section(export_id, caller, link, now=service.clock.now())
    await service.sections.receive(export_id, caller, attempt, _pieces(request))


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body; raises `SectionInterrupted` when it stalls or breaks off."""
    rate, stream, began = TransferRate(), request.stream(), time.monotonic()
    try:
        while time.monotonic() - began < LONGEST_TRANSFER_SECONDS:
            async with rate.waiting():
                piece = await anext(stream, None)
            if piece is None:
                return
            rate.count(moved=len(piece))
            yield piece
    except (ClientDisconnect, TooSlow):
        raise SectionInterrupted from None
    raise SectionInterrupted
