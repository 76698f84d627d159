"""Take the section of a contributor over its link: sealed part by part, and whole or not at all."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import Database
from chassis.ids import new_id
from chassis.problems import PersonErased
from storage.exports.archive import pieces_of
from storage.exports.links import ExportLinks
from storage.exports.policy import ExportOver, ExportStatus, SectionTooLarge
from storage.exports.sealed_parts import PART_BYTES, ExportStore, SealedParts, folder_of_section
from storage.models import Export, ExportSection
from storage.repositories import EXPORTS, Exports, Sections

LINK_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SectionReception:
    """What receiving sections needs; `limit` is how many bytes one may have."""

    database: Database
    store: ExportStore
    links: ExportLinks
    limit: int

    async def give_link(self, export_id: UUID, service: str) -> tuple[str, datetime]:
        """Return where the service puts its section for some minutes; raises `ExportOver`.

        Over is an export that has ended, that has this section, or whose person is erased.
        """
        async with self.database.unit_of_work() as uow:
            export, _ = await self._awaited(Exports(uow.session), Sections(uow.session), export_id, service)
            if await uow.is_erased(export.user_id):
                raise ExportOver
        expires = self.database.clock.now() + LINK_LIFE
        path = self.links.section_path(export_id, service, attempt=new_id(), expires=expires)
        return path, expires

    async def receive(
        self, export_id: UUID, service: str, attempt: UUID, pieces: AsyncIterator[bytes]
    ) -> None:
        """Seal what comes and keep it as the section, in the place of what came before.

        Raises `ExportOver`, `SectionTooLarge`, what `pieces` raises, and transient faults. What is left of an
        attempt that failed goes with the export.
        """
        try:
            async with self.database.unit_of_work() as uow:
                export, _ = await self._awaited(
                    Exports(uow.session), Sections(uow.session), export_id, service
                )
            parts = await self.store.opened_for(export.user_id)
            folder = folder_of_section(export.folder, service, attempt)
            count, size = await self._seal(parts, folder, pieces)
            await self._keep(export, service, attempt, count=count, size=size)
        except PersonErased:
            raise ExportOver from None

    async def _seal(self, parts: SealedParts, folder: str, pieces: AsyncIterator[bytes]) -> tuple[int, int]:
        waiting, count, size = bytearray(), 0, 0
        async for piece in pieces:
            size += len(piece)
            if size > self.limit:
                raise SectionTooLarge
            for bit in pieces_of(piece):
                waiting += bit
                if len(waiting) >= PART_BYTES:
                    await parts.write(folder, count, bytes(waiting))
                    waiting.clear()
                    count += 1
        if waiting:
            await parts.write(folder, count, bytes(waiting))
            count += 1
        return count, size

    async def _keep(self, export: Export, service: str, attempt: UUID, *, count: int, size: int) -> None:
        """Note the section, if the export still waits for it and nobody is erasing the person."""
        async with self.database.unit_of_work() as uow:
            await uow.lock_subject(export.user_id)
            _, section = await self._awaited(Exports(uow.session), Sections(uow.session), export.id, service)
            section.attempt, section.parts, section.bytes = attempt, count, size
            section.received_at = uow.now()
            uow.wake(EXPORTS.name)

    async def _awaited(
        self, exports: Exports, sections: Sections, export_id: UUID, service: str
    ) -> tuple[Export, ExportSection]:
        export, section = await exports.lock(export_id), await sections.find(export_id, service)
        if export is None or section is None or export.status != ExportStatus.PENDING.value:
            raise ExportOver
        if section.received_at is not None and section.reported_at is not None:
            raise ExportOver
        return export, section
