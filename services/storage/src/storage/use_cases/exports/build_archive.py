"""Put an archive together from its sections and the person's photos, in turns, however large it is."""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.export_section import Section
from chassis.ids import new_id
from chassis.object_store_faults import ObjectNotFound
from chassis.problems import PersonErased
from chassis.sealing import SealBroken
from chassis.work_table import Claimed, WorkTable
from contracts.registry import ASSEMBLER
from storage.consents import Consents, Withheld
from storage.exports.archive import AS_IS, PACKED, pieces_of
from storage.exports.manifest import MANIFEST, manifest, name_of_photo, name_of_schema, name_of_section
from storage.exports.pages import INDEX, NOT_INCLUDED, README, index_page, not_included, readme
from storage.exports.sealed_parts import ExportStore, SealedParts, folder_of_section
from storage.models import ExportSection, Photo, PhotoRead
from storage.policy import ConsentState, ReadReason, Rendition
from storage.repositories import (
    EXPORTS,
    PENDING,
    ArchiveRows,
    ExportedPhotos,
    Photos,
    Sections,
    every_section_is_there,
)
from storage.repositories.photos import Standing
from storage.use_cases.ask_consent import bring_gate_up_to_date
from storage.use_cases.exports.archive_turn import ArchiveTurn
from storage.use_cases.exports.request_export import ExportTerms
from storage.vault import PhotoLocation

LEASE_SECONDS = 45.0
TURN_SECONDS = 15.0
"""After so long a turn keeps what it has, and the row is due again: no archive holds up the others."""
BACKOFF_SECONDS = (1.0, 300.0)
WORKERS = 1
"""Archives that are made at once, per process: one bounds the memory that they take."""
PHOTO_PAGE = 50

log = structlog.get_logger(__name__)


class NotWholeYet(Exception):
    """The turn is over and the archive is not: it is kept as far as it is."""


@dataclass(frozen=True)
class _Sources:
    """What one turn takes from: the sections, what opens them, and what consent says now."""

    user_id: UUID
    folder: str
    sections: Sequence[ExportSection]
    sealed: SealedParts
    consent: ConsentState
    withheld: Withheld | None


class ArchiveBuilder:
    """Works on the exports that are due; `own` is storage's own section."""

    def __init__(
        self,
        database: Database,
        store: ExportStore,
        consents: Consents,
        *,
        own: Section[Any],
        terms: ExportTerms,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self._database = database
        self._store = store
        self._consents = consents
        self._own = own
        self._terms = terms
        self._turn_seconds = turn_seconds
        self._work = WorkTable(
            database,
            EXPORTS,
            open_rows=PENDING,
            since=EXPORTS.c.requested_at,
            ready=every_section_is_there(),
            lease_seconds=LEASE_SECONDS,
            backoff_seconds=BACKOFF_SECONDS,
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await self._work.run(self._build, workers=WORKERS)

    async def work_once(self) -> int:
        """Do one turn at each export that is due; return how many there were."""
        return await self._work.work_once(self._build)

    async def _build(self, claimed: Claimed) -> None:
        try:
            sources = await self._sources(claimed.row)
            async with self._database.read_only() as session:
                kept = await ArchiveRows(session).files(claimed.row.id)
            turn = ArchiveTurn(self._database, self._work, claimed, sealed=sources.sealed, kept=kept)
            try:
                await self._fill(turn, sources, until=time.monotonic() + self._turn_seconds)
                await self._finish(turn, claimed.row)
            except NotWholeYet:
                await turn.keep()
                await self._work.release([claimed])
            finally:
                turn.leave()
        except PersonErased:
            # The erasure takes the row; until then nobody tries again.
            await self._work.postpone(claimed, "the person is being erased")

    async def _sources(self, export: Any) -> _Sources:
        consent = await bring_gate_up_to_date(self._database, self._consents, user_id=export.user_id)
        withheld = await self._consents.withheld(export.user_id)
        async with self._database.read_only() as session:
            sections = await Sections(session).of(export.id)
        sealed = await self._store.opened_for(export.user_id)
        return _Sources(export.user_id, export.folder, sections, sealed, consent, withheld)

    async def _fill(self, turn: ArchiveTurn, sources: _Sources, *, until: float) -> None:
        """Add what is missing; raises `NotWholeYet` when the time is over."""
        for section in sources.sections:
            await turn.add(name_of_schema(section.service), _head(sources, section), level=PACKED)
            await turn.add(name_of_section(section.service), _body(sources, section), level=PACKED)
            _require_time(turn, until)
        if sources.withheld is None:
            async for photo in self._photos(sources, after=turn.last_photo):
                await self._add_photo(turn, photo)
                _require_time(turn, until)
        else:
            await turn.add(NOT_INCLUDED, _all([not_included(sources.withheld.clause)]), level=PACKED)
        # What is told of photos follows them: one whose bytes were found lost is told as such.
        counts: dict[str, int] = {}
        await turn.add(name_of_schema(ASSEMBLER), _all([self._own.schema]), level=PACKED)
        await turn.add(name_of_section(ASSEMBLER), self._own.document(sources.user_id, counts), level=PACKED)

    async def _photos(self, sources: _Sources, *, after: UUID | None) -> AsyncIterator[Photo]:
        while True:
            async with self._database.read_only() as session:
                page = await ExportedPhotos(session).following(sources.user_id, after=after, limit=PHOTO_PAGE)
            for photo in page:
                # What consent no longer covers is about to be destroyed.
                if sources.consent.covers(photo.consent_epoch):
                    yield photo
            if len(page) < PHOTO_PAGE:
                return
            after = page[-1].id

    async def _add_photo(self, turn: ArchiveTurn, photo: Photo) -> None:
        try:
            content = await self._store.vault.get(PhotoLocation.of(photo), Rendition.ORIGINAL)
        except (ObjectNotFound, SealBroken):
            if await self._is_gone(photo):
                # The archive is made anew without it, by whoever holds the row then.
                raise
            log.error("photo_not_exported", photo_id=str(photo.id))
            async with self._database.unit_of_work() as uow:
                await Photos(uow.session).mark_lost(photo.id, now=uow.now())
            return
        if not await self._recorded(photo):
            # Let go of while it was read: it is destroyed, and an archive that has it is made anew.
            return
        await turn.add(
            name_of_photo(photo.id, photo.media_type),
            _all(pieces_of(content)),
            level=AS_IS,
            photo_id=photo.id,
        )

    async def _recorded(self, photo: Photo) -> bool:
        """Enter this read into the log that the person can see, and tell whether the photo may be read."""
        record = PhotoRead(
            id=new_id(),
            user_id=photo.user_id,
            photo_id=photo.id,
            session_id=None,
            rendition=Rendition.ORIGINAL,
            reason=ReadReason.EXPORT,
            read_at=self._database.clock.now(),
        )
        hashes = self._database.tombstone_keys.hashes(photo.user_id)
        async with self._database.read_only() as session:
            standing = await Photos(session).standing_of(photo, person_hash=hashes, record=record)
        return standing is Standing.SHOWN

    async def _is_gone(self, photo: Photo) -> bool:
        async with self._database.read_only() as session:
            return await Photos(session).find(photo.id) is None

    async def _finish(self, turn: ArchiveTurn, export: Any) -> None:
        await turn.add(README, _all([readme(export.requested_at)]), level=PACKED)
        await turn.add(INDEX, _all([index_page(turn.files, export.requested_at)]), level=PACKED)
        await turn.add(
            MANIFEST,
            _all([manifest(export.id, export.requested_at, turn.files)]),
            level=PACKED,
        )
        await turn.finish(kept_for=self._terms.kept)


def _require_time(turn: ArchiveTurn, until: float) -> None:
    if turn.has_added and time.monotonic() >= until:
        raise NotWholeYet


async def _all(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _parts(sources: _Sources, section: ExportSection) -> AsyncIterator[bytes]:
    if section.attempt is None or section.parts is None:
        raise ValueError("the section has not arrived")
    folder = folder_of_section(sources.folder, section.service, section.attempt)
    return sources.sealed.read_all(folder, range(section.parts))


async def _head(sources: _Sources, section: ExportSection) -> AsyncIterator[bytes]:
    """Yield the first line of a section: its schema."""
    async for part in _parts(sources, section):
        line, found, _ = part.partition(b"\n")
        yield line
        if found:
            return


async def _body(sources: _Sources, section: ExportSection) -> AsyncIterator[bytes]:
    """Yield what stands behind the first line of a section: its document."""
    begun = False
    async for part in _parts(sources, section):
        if begun:
            for piece in pieces_of(part):
                yield piece
            continue
        _, found, rest = part.partition(b"\n")
        if found:
            begun = True
            for piece in pieces_of(rest):
                yield piece
