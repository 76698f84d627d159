"""Every query about exports."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from chassis.repository import Repository
from storage.exports.archive import ArchivedFile
from storage.exports.policy import EndReason, ExportStatus
from storage.models import Export, ExportContributor, ExportFile, ExportPart, ExportSection, Photo
from storage.repositories.destructions import Destructions

EXPORTS = cast("Table", Export.__table__)
BATCH = 100
LATE_PARTS = timedelta(minutes=10)
PENDING = EXPORTS.c.status == ExportStatus.PENDING.value
_SECTIONS = cast("Table", ExportSection.__table__)


def every_section_is_there() -> ColumnElement[bool]:
    """Return what tells the exports whose archive can be made: no contributor is missing."""
    outstanding = or_(_SECTIONS.c.received_at.is_(None), _SECTIONS.c.reported_at.is_(None))
    return ~exists(select(1).where(_SECTIONS.c.export_id == EXPORTS.c.id, outstanding))


class Exports(Repository):
    """The requests of people for copies of their data."""

    async def open_of(self, user_id: UUID) -> Export | None:
        """Return the person's export that has not ended, locked."""
        query = select(Export).where(Export.user_id == user_id, Export.ended_at.is_(None)).with_for_update()
        return await self._session.scalar(query)

    async def last_of(self, user_id: UUID) -> Export | None:
        """Return the person's newest export."""
        query = select(Export).where(Export.user_id == user_id).order_by(Export.requested_at.desc()).limit(1)
        return await self._session.scalar(query)

    async def requests_since(self, user_id: UUID, moment: datetime) -> list[datetime]:
        """Return when the person has asked since then, the oldest first."""
        query = select(Export.requested_at).where(Export.user_id == user_id, Export.requested_at > moment)
        return list(await self._session.scalars(query.order_by(Export.requested_at)))

    async def lock(self, export_id: UUID) -> Export | None:
        """Return the export, whoever's it is, locked until the transaction ends."""
        return await self._session.get(Export, export_id, with_for_update=True)

    async def find(self, export_id: UUID) -> Export | None:
        """Return the export, whoever's it is."""
        return await self._session.get(Export, export_id)

    async def go_on(self, export_id: UUID, version: int, *, until: datetime) -> bool:
        """Hold the one download of a version for longer; False where there is no such archive any more."""
        held = (
            update(Export)
            .where(
                Export.id == export_id, Export.version == version, Export.status == ExportStatus.READY.value
            )
            .values(download_until=until)
            .returning(Export.id)
        )
        return await self._session.scalar(held) is not None

    async def add(self, export: Export, services: Sequence[str]) -> None:
        """Open an export that waits for a section of each of these services."""
        self._session.add(export)
        await self._session.flush()
        self._session.add_all([ExportSection(export_id=export.id, service=service) for service in services])

    async def end(self, export: Export, reason: EndReason, *, now: datetime) -> None:
        """End an export and order the destruction of all that was sealed for it; its row tells of it."""
        failed = reason is EndReason.INCOMPLETE
        export.status = (ExportStatus.FAILED if failed else ExportStatus.EXPIRED).value
        export.end_reason, export.ended_at = reason.value, now
        export.download_until = export.lease_token = export.lease_until = None
        for table in (ExportPart, ExportFile, ExportSection):
            await self._session.execute(delete(table).where(table.export_id == export.id))
        # A part that was under way when this ended may land after the first sweep.
        await Destructions(self._session).sweep_later([export.folder], after=[timedelta(), LATE_PARTS])

    async def lock_overdue(self, *, now: datetime, asked_by: datetime) -> Sequence[Export]:
        """Return those that were ready for long enough, and those that were asked for too long ago."""
        ready = and_(
            Export.status == ExportStatus.READY.value,
            Export.expires_at <= now,
            or_(Export.download_until.is_(None), Export.download_until <= now),
        )
        waiting = and_(Export.status == ExportStatus.PENDING.value, Export.requested_at <= asked_by)
        query = select(Export).where(Export.ended_at.is_(None), or_(ready, waiting))
        return (await self._session.scalars(query.limit(BATCH).with_for_update(skip_locked=True))).all()

    async def forget(self, *, ended_by: datetime) -> None:
        """Delete the rows of exports that had ended by then."""
        await self._session.execute(delete(Export).where(Export.ended_at <= ended_by))

    async def lock_silent(self, *, asked_by: datetime) -> Sequence[Export]:
        """Return those that wait for a section and were asked for by then at the latest."""
        query = select(Export).where(
            Export.status == ExportStatus.PENDING.value,
            Export.asked_at <= asked_by,
            ~every_section_is_there(),
        )
        return (await self._session.scalars(query.limit(BATCH).with_for_update(skip_locked=True))).all()

    async def waiting(self) -> tuple[int, list[str]]:
        """Return how many exports are pending, and for which services any of them waits."""
        pending = await self._session.scalar(select(func.count()).where(PENDING).select_from(EXPORTS))
        outstanding = or_(ExportSection.received_at.is_(None), ExportSection.reported_at.is_(None))
        missing = await self._session.scalars(select(ExportSection.service).where(outstanding).distinct())
        return int(pending or 0), sorted(missing)


class Sections(Repository):
    """What contributors have written for exports."""

    async def of(self, export_id: UUID) -> Sequence[ExportSection]:
        """Return the sections of an export, by the name of their service."""
        query = select(ExportSection).where(ExportSection.export_id == export_id)
        return (await self._session.scalars(query.order_by(ExportSection.service))).all()

    async def find(self, export_id: UUID, service: str) -> ExportSection | None:
        """Return the section of one service, if the export waits for one."""
        return await self._session.get(ExportSection, (export_id, service))

    async def report(self, export_id: UUID, service: str, *, records: dict[str, int], now: datetime) -> None:
        """Note what a contributor says that it has written; nothing where no export waits for it."""
        await self._session.execute(
            update(ExportSection)
            .where(ExportSection.export_id == export_id, ExportSection.service == service)
            .values(records=records, reported_at=now)
        )


class ArchiveRows(Repository):
    """What an archive is made of so far."""

    async def parts(self, export_id: UUID) -> list[tuple[UUID, int]]:
        """Return the ids and sizes of its parts, in order."""
        query = select(ExportPart.object_id, ExportPart.bytes).where(ExportPart.export_id == export_id)
        return [(row[0], row[1]) for row in await self._session.execute(query.order_by(ExportPart.number))]

    async def files(self, export_id: UUID) -> list[ArchivedFile]:
        """Return the files that are whole in it, in order."""
        query = select(ExportFile).where(ExportFile.export_id == export_id).order_by(ExportFile.number)
        return [
            ArchivedFile(
                name=row.name,
                offset=row.offset,
                bytes=row.bytes,
                packed_bytes=row.packed_bytes,
                crc=row.crc,
                sha256=row.sha256,
                photo_id=row.photo_id,
            )
            for row in await self._session.scalars(query)
        ]

    async def add(
        self,
        export_id: UUID,
        *,
        parts: Sequence[tuple[UUID, int]],
        first_part: int,
        files: Sequence[ArchivedFile],
        first_file: int,
    ) -> None:
        """Note parts that are sealed, and the files that end in them."""
        sealed: list[dict[str, Any]] = [
            {"export_id": export_id, "number": number, "object_id": object_id, "bytes": size}
            for number, (object_id, size) in enumerate(parts, first_part)
        ]
        listed: list[dict[str, Any]] = [
            {
                "export_id": export_id,
                "number": number,
                **{name: getattr(file, name) for name in ArchivedFile.__slots__},
            }
            for number, file in enumerate(files, first_file)
        ]
        if sealed:
            await self._session.execute(insert(ExportPart), sealed)
        if listed:
            await self._session.execute(insert(ExportFile), listed)


class ExportedPhotos(Repository):
    """The photos that go into an archive."""

    async def following(self, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Photo]:
        """Return a person's confirmed photos that can be shown, in the order of their ids, behind `after`."""
        query = select(Photo).where(
            Photo.user_id == user_id,
            Photo.confirmed_at.is_not(None),
            Photo.lost_at.is_(None),
            Photo.closed_at.is_(None),
        )
        if after is not None:
            query = query.where(Photo.id > after)
        return (await self._session.scalars(query.order_by(Photo.id).limit(limit))).all()


class Contributors(Repository):
    """The services that write a section of every export."""

    async def register(self, service: str, *, now: datetime) -> None:
        """Remember a service, once."""
        await self._session.execute(
            upsert(ExportContributor)
            .values(service=service, joined_at=now)
            .on_conflict_do_nothing(index_elements=[ExportContributor.service])
        )

    async def all(self) -> list[str]:
        """Return their names."""
        query = select(ExportContributor.service).order_by(ExportContributor.service)
        return list(await self._session.scalars(query))
