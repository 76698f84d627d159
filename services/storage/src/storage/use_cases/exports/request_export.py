"""Open an export: everybody who holds something of the person is asked for a section."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts.storage import ExportRequested
from storage.exports.policy import EndReason, ExportStatus, TooManyExports
from storage.exports.sealed_parts import ExportStore
from storage.models import Export
from storage.repositories import EXPORTS, Contributors, Exports

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """How many a person may ask for in a day, how long contributors have, and how long an archive is kept."""

    per_day: int
    patience: timedelta
    kept: timedelta


async def request_export(
    uow: UnitOfWork, store: ExportStore, *, user_id: UUID, known: Sequence[str], terms: ExportTerms
) -> Export:
    """Return the export that is under way, else a new one, which ends an archive that nobody has fetched.

    `known` are services that contribute whether or not they have announced it. Raises `PersonErased` and
    `TooManyExports`.
    """
    await uow.lock_subject(user_id)
    exports, now = Exports(uow.session), uow.now()
    before = await exports.open_of(user_id)
    if before is not None and before.status == ExportStatus.PENDING.value:
        return before
    asked = await exports.requests_since(user_id, now - DAY)
    if len(asked) >= terms.per_day:
        raise TooManyExports(terms.per_day, int((asked[0] + DAY - now).total_seconds()) + 1)
    if before is not None:
        await exports.end(before, EndReason.REPLACED, now=now)
        await uow.session.flush()
    services = sorted({*known, *await Contributors(uow.session).all()})
    export_id = new_id()
    export = Export(
        id=export_id,
        user_id=user_id,
        status=ExportStatus.PENDING.value,
        folder=store.folder(user_id, export_id),
        version=1,
        parts=0,
        bytes=0,
        photos=0,
        requested_at=now,
        asked_at=now,
    )
    await exports.add(export, services)
    uow.publish(ExportRequested(user_id=user_id, export_id=export_id, expires_at=now + terms.patience))
    uow.wake(EXPORTS.name)
    return export
