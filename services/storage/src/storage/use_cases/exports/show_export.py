"""Show a person how far their last export is."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.db import UnitOfWork
from storage.exports.policy import NoExport
from storage.models import Export, ExportSection
from storage.repositories import Exports, Sections


@dataclass(frozen=True, slots=True)
class ShownExport:
    """An export and the sections that it waits for or has."""

    export: Export
    sections: Sequence[ExportSection]


async def show_export(uow: UnitOfWork, *, user_id: UUID) -> ShownExport:
    """Return the newest export; raises `NoExport`."""
    export = await Exports(uow.session).last_of(user_id)
    if export is None:
        raise NoExport
    return ShownExport(export, await Sections(uow.session).of(export.id))
