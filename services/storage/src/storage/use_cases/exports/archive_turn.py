"""One turn of work at an archive: what is added is sealed part by part, and kept file by file.

A turn that dies leaves parts that nothing names: whoever goes on begins behind the last file that was kept.
"""

from collections.abc import AsyncIterable
from datetime import timedelta
from uuid import UUID

from chassis.db import Database, UnitOfWork
from chassis.ids import new_id
from chassis.work_table import Claimed, WorkTable
from contracts.storage import ExportReady
from storage.exports.archive import ArchivedFile, ArchiveWriter, pieces_of
from storage.exports.policy import ExportStatus
from storage.exports.sealed_parts import PART_BYTES, SealedParts, folder_of_archive
from storage.repositories import ArchiveRows


class ArchiveTurn:
    """An archive under our lease, as far as it is kept, and what was added since."""

    def __init__(
        self,
        database: Database,
        work: WorkTable,
        claimed: Claimed,
        *,
        sealed: SealedParts,
        kept: list[ArchivedFile],
    ) -> None:
        export = claimed.row
        self._database = database
        self._work = work
        self._claimed = claimed
        self._sealed = sealed
        self._folder = folder_of_archive(export.folder, export.version)
        self.files, self._files_kept = [*kept], len(kept)
        """Every file that is in the archive, in order."""
        self._photos = sum(1 for file in kept if file.photo_id is not None)
        self._parts_kept, self._parts = int(export.parts), list[tuple[UUID, int]]()
        self._writer = ArchiveWriter(export.requested_at, position=export.bytes, written=kept)
        self._names = {file.name for file in kept}
        self.has_added = False
        """Whether this turn has brought the archive further."""

    @property
    def last_photo(self) -> UUID | None:
        """The last photo that is in the archive; they come in the order of their ids."""
        return next((file.photo_id for file in reversed(self.files) if file.photo_id is not None), None)

    @property
    def size(self) -> int:
        """How many bytes the archive has so far."""
        return self._writer.position

    async def add(
        self, name: str, pieces: AsyncIterable[bytes], *, level: int, photo_id: UUID | None = None
    ) -> None:
        """Add a file, unless it is there; raises `LeaseLost`, `PersonErased`, and what `pieces` raises."""
        if name in self._names:
            return
        self.has_added = True
        self._writer.begin(name, level=level)
        async for piece in pieces:
            self._writer.write(piece)
            if self._writer.waiting >= PART_BYTES:
                await self._seal()
        self.files.append(self._writer.end(photo_id=photo_id))
        self._photos += photo_id is not None
        self._names.add(name)
        if self._parts or self._writer.waiting >= PART_BYTES:
            await self.keep()

    async def keep(self) -> None:
        """Seal what waits, and keep all that was added; raises `LeaseLost` and `PersonErased`."""
        await self._seal()
        async with self._database.unit_of_work() as uow:
            await uow.lock_subject(self._claimed.row.user_id)
            await self._work.keep(uow.session, self._claimed, **self._progress())
            await self._note(uow)
        self._files_kept = len(self.files)
        self._parts_kept, self._parts = self._parts_kept + len(self._parts), []

    async def finish(self, *, kept_for: timedelta) -> None:
        """Write the directory and announce that the archive is ready; raises as `keep`."""
        self._writer.finish()
        await self._seal()
        export = self._claimed.row
        async with self._database.unit_of_work() as uow:
            # No erasure begins before this is written, and none that has begun is written past.
            await uow.lock_subject(export.user_id)
            now = uow.now()
            await self._work.settle(
                uow.session,
                self._claimed,
                **self._progress(),
                status=ExportStatus.READY.value,
                ready_at=now,
                expires_at=now + kept_for,
                last_error=None,
            )
            await self._note(uow)
            uow.publish(
                ExportReady(
                    user_id=export.user_id,
                    export_id=export.id,
                    size=self.size,
                    expires_at=now + kept_for,
                )
            )

    def leave(self) -> None:
        """Leave the archive to whoever goes on."""
        self._writer.leave()

    async def _note(self, uow: UnitOfWork) -> None:
        await ArchiveRows(uow.session).add(
            self._claimed.row.id,
            parts=self._parts,
            first_part=self._parts_kept,
            files=self.files[self._files_kept :],
            first_file=self._files_kept,
        )

    def _progress(self) -> dict[str, int]:
        return {
            "parts": self._parts_kept + len(self._parts),
            "bytes": self.size,
            "photos": self._photos,
        }

    async def _seal(self) -> None:
        # The directory of very many files is longer than a part may be.
        for plain in pieces_of(self._writer.take(), size=2 * PART_BYTES):
            object_id = new_id()
            await self._sealed.write(self._folder, object_id, plain)
            self._parts.append((object_id, len(plain)))
