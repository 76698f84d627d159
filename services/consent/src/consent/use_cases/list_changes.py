"""Tell another service whose consents have changed, so that it can follow without asking about each."""

from datetime import datetime

from chassis.db import Database
from consent.policy import consent_of
from consent.repositories import ChangedGate, Changes
from consent.rulebook import Rulebook
from consent.schemas import ChangePage, ConsentChange
from contracts.fields import ConsentType


async def list_changes(
    database: Database, *, after: int, limit: int, rulebook: Rulebook, now: datetime
) -> ChangePage:
    """Return the gates that changed after a position, each once, as it stands now; at most `limit`.

    A gate that changes again gets a new position, so the answer to the highest position that was seen holds
    everything that changed since, in the order in which it became visible.
    """
    async with database.read_only() as session:
        news = await Changes(session).has_news()
    if news:
        async with database.unit_of_work() as uow:
            await Changes(uow.session).number(limit=limit)
    async with database.read_only() as session:
        changes = Changes(session)
        found = await changes.page(after, limit=limit)
        last = await changes.last_position()
        complete = len(found) < limit and not await changes.has_news()
    return ChangePage(
        position=found[-1].position if found else after,
        last_position=last,
        complete=complete,
        changes=[_shown(changed, rulebook, now) for changed in found],
    )


def _shown(changed: ChangedGate, rulebook: Rulebook, now: datetime) -> ConsentChange:
    consent = None if changed.granted is None else consent_of(changed.granted)
    live = consent if consent is not None and consent.is_live(rulebook, now) else None
    return ConsentChange(
        user_id=changed.gate.user_id,
        consent_type=ConsentType(changed.gate.consent_type),
        granted=live is not None,
        consent_id=live.id if live else None,
        epoch=changed.gate.epoch,
        withdrawn_epoch=changed.gate.ended_epoch,
        jurisdiction=live.jurisdiction if live else None,
    )
