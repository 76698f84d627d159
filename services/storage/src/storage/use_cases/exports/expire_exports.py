"""End exports whose time is over, and ask those again who are silent."""

from datetime import timedelta

import structlog

from chassis.db import Database
from chassis.problems import PersonErased
from contracts.storage import ExportRequested
from storage.exports.policy import EndReason, ExportStatus
from storage.models import Export
from storage.repositories import DESTRUCTIONS, Exports
from storage.use_cases.exports.request_export import ExportTerms

TOLD_FOR = timedelta(days=30)
"""How long the status of an export that has ended can still be asked for."""

log = structlog.get_logger(__name__)


async def expire_exports(database: Database, terms: ExportTerms) -> int:
    """End what nobody has fetched in time and what was never whole; return how many ended."""
    ended = 0
    while True:
        async with database.unit_of_work() as uow:
            exports, now = Exports(uow.session), uow.now()
            overdue = await exports.lock_overdue(now=now, asked_by=now - terms.patience)
            for export in overdue:
                ready = export.status == ExportStatus.READY.value
                await exports.end(export, EndReason.EXPIRED if ready else EndReason.INCOMPLETE, now=now)
                if not ready:
                    log.error("export_never_whole", export_id=str(export.id))
            if overdue:
                uow.wake(DESTRUCTIONS.name)
            else:
                await exports.forget(ended_by=now - TOLD_FOR)
                return ended
        ended += len(overdue)


async def remind_contributors(database: Database, terms: ExportTerms, *, pause: timedelta) -> int:
    """Ask for the sections of those exports again that still wait for one; return for how many."""
    async with database.unit_of_work() as uow:
        silent = await Exports(uow.session).lock_silent(asked_by=uow.now() - pause)
        for export in silent:
            export.asked_at = uow.now()
    asked = 0
    for export in silent:
        try:
            await _ask_again(database, export, terms)
            asked += 1
        except PersonErased:
            # Their erasure ends the export.
            log.info("export_not_asked_for_again", export_id=str(export.id))
    return asked


async def _ask_again(database: Database, export: Export, terms: ExportTerms) -> None:
    async with database.unit_of_work() as uow:
        # What names a person may not be written into the outbox once their erasure has begun.
        await uow.lock_subject(export.user_id)
        uow.publish(
            ExportRequested(
                user_id=export.user_id,
                export_id=export.id,
                expires_at=export.requested_at + terms.patience,
            )
        )


async def tell_exports(database: Database) -> str | None:
    """Say how many exports wait, and for whom; None while none does."""
    async with database.unit_of_work() as uow:
        pending, missing = await Exports(uow.session).waiting()
    if not pending:
        return None
    return f"{pending} wait" + (f", sections are missing of {', '.join(missing)}" if missing else "")
