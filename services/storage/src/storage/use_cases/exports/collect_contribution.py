"""Note what a contributor says that it has written."""

from chassis.db import UnitOfWork
from contracts.participation import ExportContributed
from storage.repositories import EXPORTS, Sections


async def collect_contribution(uow: UnitOfWork, event: ExportContributed) -> None:
    """Keep the counts; the archive is made when every section is here and was announced."""
    await Sections(uow.session).report(
        event.export_id, event.service, records=dict(event.records), now=uow.now()
    )
    uow.wake(EXPORTS.name)
