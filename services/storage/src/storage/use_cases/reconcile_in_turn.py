"""Compare the bucket every so often, whichever of the workers looks first."""

from datetime import timedelta

import structlog

from chassis.db import Database
from storage.repositories import FeedPositions
from storage.use_cases.reconcile_objects import BucketReport, reconcile_objects
from storage.vault import Vault

log = structlog.get_logger(__name__)


async def reconcile_in_turn(
    database: Database, vault: Vault, *, every: timedelta, unsettled: timedelta
) -> BucketReport | None:
    """Compare bucket and photos if nobody has within `every`; what is younger than `unsettled` is left alone.

    None when it is not time yet. Raises what the object store raises, and is due again then.
    """
    now = database.clock.now()
    async with database.unit_of_work() as uow:
        if not await FeedPositions(uow.session).take_turn(now=now, every=every):
            return None
    report = None
    try:
        report = await reconcile_objects(database, vault, settled_by=now - unsettled)
    finally:
        if report is None:
            async with database.unit_of_work() as uow:
                await FeedPositions(uow.session).give_turn_back()
    told = log.info if report.in_order else log.error
    told(
        "bucket_compared",
        photos=report.photos,
        objects=report.objects,
        orphans=report.orphans,
        removed=report.removed,
        missing=report.missing,
        others=report.others,
    )
    return report
