"""Give an archive to whoever holds its link, once, while nothing that is in it was withdrawn."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.problems import PersonErased
from storage.consents import Consents
from storage.exports.policy import ArchiveGone, EndReason, ExportStatus
from storage.exports.sealed_parts import ExportStore, folder_of_archive
from storage.models import Export
from storage.repositories import DESTRUCTIONS, ArchiveRows, Exports
from storage.use_cases.ask_consent import bring_gate_up_to_date

PART_TAKES = timedelta(minutes=20)
"""How long one part may take on the slowest line; after so long nobody is fetching the archive any more."""


@dataclass(frozen=True, slots=True)
class OpenedArchive:
    """An archive that is being fetched: whose, which version, and its parts by id and size."""

    export_id: UUID
    user_id: UUID
    version: int
    folder: str
    parts: list[tuple[UUID, int]]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(size for _, size in self.parts)


@dataclass(frozen=True, slots=True)
class ArchiveDownloads:
    """What giving archives out needs."""

    database: Database
    store: ExportStore
    consents: Consents

    async def begin(self, export_id: UUID, *, version: int) -> OpenedArchive:
        """Take the one download that there is; the caller has checked the link.

        A download that breaks off gives it back. Raises `ArchiveGone`, and transient faults when consent
        can't be asked: a withdrawal that was not heard of yet ends the archive here.
        """
        async with self.database.read_only() as session:
            export = await Exports(session).find(export_id)
        if export is None:
            raise ArchiveGone
        try:
            await bring_gate_up_to_date(self.database, self.consents, user_id=export.user_id)
            return await self._claim(export, version)
        except PersonErased:
            raise ArchiveGone from None

    async def _claim(self, found: Export, version: int) -> OpenedArchive:
        async with self.database.unit_of_work() as uow:
            await uow.lock_subject(found.user_id)
            export, now = await Exports(uow.session).lock(found.id), uow.now()
            if (
                export is None
                or export.status != ExportStatus.READY.value
                or export.version != version
                or export.expires_at is None
                or export.expires_at <= now
                or (export.download_until is not None and export.download_until > now)
            ):
                raise ArchiveGone
            export.download_until = now + PART_TAKES
            parts = await ArchiveRows(uow.session).parts(export.id)
            folder = folder_of_archive(export.folder, export.version)
            return OpenedArchive(export.id, export.user_id, export.version, folder, parts)

    async def pieces(self, archive: OpenedArchive) -> AsyncIterator[bytes]:
        """Yield the archive, part by part; raises `ArchiveGone` as soon as there is none any more."""
        for object_id, _ in archive.parts:
            until = self.database.clock.now() + PART_TAKES
            async with self.database.one_statement() as session:
                if not await Exports(session).go_on(archive.export_id, archive.version, until=until):
                    raise ArchiveGone
            try:
                # The key is asked for each time, so that an erasure ends this.
                opened = await self.store.opened_for(archive.user_id)
            except PersonErased:
                raise ArchiveGone from None
            yield await opened.read(archive.folder, object_id)

    async def end(self, archive: OpenedArchive, *, complete: bool) -> None:
        """End the download: one that is complete ends the export, another gives its place back."""
        try:
            async with self.database.unit_of_work() as uow:
                await uow.lock_subject(archive.user_id)
                exports, now = Exports(uow.session), uow.now()
                export = await exports.lock(archive.export_id)
                if export is None or export.version != archive.version or export.ended_at is not None:
                    return
                export.download_until = None
                if complete:
                    export.downloaded_at = now
                    await exports.end(export, EndReason.DOWNLOADED, now=now)
                    uow.wake(DESTRUCTIONS.name)
        except PersonErased:
            # The erasure has ended the export, and takes what is left of it.
            return
