"""Asking for a copy of one's data, seeing how far it is, and fetching it once."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Query, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from chassis.auth import Principal
from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import PersonErased, Unauthorized
from chassis.transfer_rate import TooSlow, TransferRate
from contracts.topology import export_contributors
from storage.api.dependencies import CurrentService
from storage.exports.archive import pieces_of
from storage.exports.links import ArchiveLink
from storage.exports.policy import (
    ArchiveGone,
    ExportStatus,
    NoExport,
    TooManyExports,
    message_of,
    section_status,
)
from storage.exports.schemas import ContributorProgress, ExportProgress, ExportRead, ExportReceipt
from storage.policy import LinkRefused, TooBusy
from storage.transfers import MadeRoom, MemoryShare
from storage.use_cases.exports.download_archive import ArchiveDownloads, OpenedArchive
from storage.use_cases.exports.request_export import request_export
from storage.use_cases.exports.show_export import ShownExport, show_export
from storage.wiring import Service

PIECE_BYTES = 64 * 1024
ZIP = "application/zip"

router = APIRouter(prefix="/api/v1/privacy/data-export", tags=["storage"], route_class=IdempotentRoute)
# An archive works once by itself, and its bytes take long to leave: no transaction may be open meanwhile.
links = APIRouter(prefix="/api/v1/privacy/data-export", tags=["storage"])
log = structlog.get_logger(__name__)

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The archive",
        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
    },
    **problems(LinkRefused, ArchiveGone, TooBusy),
}


@router.post(
    "",
    name="request_data_export",
    status_code=202,
    summary="Ask for a copy of all data",
    responses=problems(Unauthorized, PersonErased, TooManyExports),
)
async def post_export(service: CurrentService, principal: CurrentPrincipal) -> ExportReceipt:
    """Begin to put a copy together; while one is under way, that one is named again."""
    async with service.unit_of_work() as uow:
        export = await request_export(
            uow,
            service.exports,
            user_id=principal.user_id,
            known=export_contributors(),
            terms=service.export_terms,
        )
    status = ExportStatus(export.status)
    return ExportReceipt(message=message_of(status, None), status=status, export_id=export.id)


@router.get(
    "/status",
    name="show_data_export",
    summary="How far the copy is, and the link once it is ready",
    responses=problems(Unauthorized, NoExport),
)
async def get_status(service: CurrentService, principal: CurrentPrincipal) -> ExportRead:
    """Show the person's last export; a service that has not contributed yet is named."""
    async with service.unit_of_work() as uow:
        shown = await show_export(uow, user_id=principal.user_id)
    return _read(shown, service, principal)


def _read(shown: ShownExport, service: Service, principal: Principal) -> ExportRead:
    export = shown.export
    url = None
    if export.status == ExportStatus.READY.value and export.expires_at is not None:
        url = service.export_links.archive_url(
            export.id,
            version=export.version,
            session_id=principal.session_id,
            expires=export.expires_at,
        )
    contributors = [
        ContributorProgress(
            service=section.service,
            status=section_status(section.received_at, section.reported_at),
            records=None if section.records is None else sum(section.records.values()),
        )
        for section in shown.sections
    ]
    return ExportRead(
        message=message_of(export.status, export.end_reason),
        status=ExportStatus(export.status),
        export_id=export.id,
        export_url=url,
        progress=ExportProgress(contributors=contributors, photos=export.photos, bytes=export.bytes),
        requested_at=export.requested_at,
        expires_at=export.expires_at,
    )


async def _archive_link(
    session: Annotated[UUID, Query()],
    version: Annotated[int, Query(ge=1, le=2_147_483_647)],
    expires: Annotated[int, Query(ge=0, le=9_999_999_999)],
    signature: Annotated[str, Query(max_length=128)],
) -> ArchiveLink:
    return ArchiveLink(session, version, expires, signature)


Link = Annotated[ArchiveLink, Depends(_archive_link)]


@links.get(
    "/{export_id}/archive",
    name="fetch_data_export",
    response_class=Response,
    responses=_ANSWERS,
    summary="Fetch the copy over its link, once",
)
async def get_archive(export_id: UUID, service: CurrentService, link: Link) -> Response:
    """Give the ZIP archive, which is destroyed when its last byte has left.

    A download that breaks off may begin anew; a second one meanwhile is refused.
    """
    service.export_links.check_archive(export_id, link, now=service.clock.now())
    async with AsyncExitStack() as resources:
        archive = await service.downloads.begin(export_id, version=link.version)
        resources.push_async_callback(_give_back, service.downloads, archive)
        memory = await resources.enter_async_context(service.reads.of(archive.user_id))
        # A part is in memory twice for a moment, sealed and open.
        await memory.grow(2 * max((size for _, size in archive.parts), default=0))
        answer = ArchiveResponse(service.downloads, archive, memory)
        answer.holds = resources.pop_all()
        return answer


async def _give_back(downloads: ArchiveDownloads, archive: OpenedArchive) -> None:
    await downloads.end(archive, complete=False)


class ArchiveResponse(Response):
    """An archive that is opened as fast as its reader takes it, and never slower than the least speed."""

    holds: AsyncExitStack

    def __init__(self, downloads: ArchiveDownloads, archive: OpenedArchive, memory: MemoryShare) -> None:
        super().__init__(
            media_type=ZIP,
            headers={
                "Content-Length": str(archive.size),
                "Content-Disposition": f'attachment; filename="irisvue-{archive.export_id}.zip"',
                "Cache-Control": "private, no-store",
            },
        )
        self._downloads, self._archive, self._memory = downloads, archive, memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then part by part; what is cut leaves the archive for another try."""
        del scope
        async with self.holds:
            head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(head)
            try:
                await self._send_all(send, receive)
            except (TooSlow, MadeRoom, ArchiveGone, ClientDisconnect) as error:
                # The server closes the connection of an answer that does not end.
                log.info("archive_cut", reason=type(error).__name__)
                return
            await self._downloads.end(self._archive, complete=True)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send, receive: Receive) -> None:
        rate, left = TransferRate(), asyncio.create_task(_until_disconnected(receive))
        try:
            async for part in self._downloads.pieces(self._archive):
                for piece in pieces_of(part, size=PIECE_BYTES):
                    async with rate.waiting(), self._memory.client_turn():
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                    rate.count(moved=len(piece))
                    self._memory.moved(len(piece))
                    if left.done():
                        # The server takes what is sent to nobody, and says nothing.
                        raise ClientDisconnect
        finally:
            left.cancel()


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
